"""The options of a generation."""

from __future__ import annotations

from typing import Any

from tfft.core.config import configuration, require
from tfft.core.errors import ConfigError, shorten


@configuration(aliases={"max_tokens": "max_new_tokens", "stop_strings": "stop"})
class Sampling:
    """How a generation chooses tokens and where it ends.

    Args:
        max_new_tokens: Maximum number of tokens to generate after the prompt.
            Defaults to 128.
        temperature: Divides the logits; 0 always takes the most probable token.
            Defaults to 0.
        top_k: Draws from the k most probable tokens; 0 for all. Defaults to 0.
        top_p: Draws from the fewest most probable tokens whose probabilities reach p
            together. Defaults to 1, all.
        repetition_penalty: Divides the positive logits of tokens already in the text
            and multiplies the negative ones (Keskar et al., 2019, arXiv:1909.05858).
            Defaults to 1, no penalty.
        stop: Strings that end the text and are not part of it. Defaults to no
            strings.
        stop_tokens: Tokens, by name or id, that end the text, in addition to the
            model's own end. Defaults to no tokens.
        seed: Decides the draws. The text of a prompt depends on the prompt and the
            seed, not on the other prompts; a prompt given several times draws with
            seed, seed + 1 and so on. Defaults to 0.

    >>> Sampling(stop="###").stop
    ('###',)
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    # Not typed as text: spaces at the ends of a stop string count.
    stop: Any = ()
    stop_tokens: Any = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises ConfigError for values that make no sense."""
        require(self.max_new_tokens >= 1, self, "max_new_tokens", "1 or more")
        require(0 <= self.temperature <= 100, self, "temperature", "0 to 100")
        require(self.top_k >= 0, self, "top_k", "0 or more")
        require(0 < self.top_p <= 1, self, "top_p", "above 0, up to 1")
        positive = 0 < self.repetition_penalty <= 100
        require(positive, self, "repetition_penalty", "above 0, up to 100")
        # Room for the seeds of repeated prompts in 64 bits.
        fits = -(2**62) < self.seed < 2**62
        require(fits, self, "seed", "a whole number of at most 62 bits")
        for name in ("stop", "stop_tokens"):
            value = getattr(self, name)
            items = (value,) if isinstance(value, str | int) else tuple(value)
            kinds = str if name == "stop" else str | int
            if not all(isinstance(item, kinds) and item != "" for item in items):
                raise ConfigError(
                    f"{name}={shorten(value)}",
                    where="Sampling",
                    expected="non-empty texts"
                    + (" or ids" if name == "stop_tokens" else ""),
                    fix=f"change {name}",
                )
            object.__setattr__(self, name, items)
        if not self.temperature and (self.top_k or self.top_p < 1):
            raise ConfigError(
                "top_k or top_p with temperature=0",
                where="Sampling",
                expected="a temperature above 0: with 0 nothing is drawn",
                fix="temperature=1",
            )
