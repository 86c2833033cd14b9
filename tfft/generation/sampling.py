"""Choosing the next token from logits, as Hugging Face's `generate` does."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfft.core.config import configuration, require
from tfft.core.errors import ConfigError, shorten


@configuration(aliases={"max_tokens": "max_new_tokens", "stop_strings": "stop"})
class Sampling:
    """How a generation goes on and where it ends.

    Args:
        max_new_tokens: The most tokens after the prompt. Defaults to 128.
        temperature: Divides the logits; 0 takes the likeliest token always.
            Defaults to 0.
        top_k: Draws from the k likeliest tokens; 0 for all. Defaults to 0.
        top_p: Draws from the fewest likeliest tokens whose probabilities reach p
            together. Defaults to 1, all.
        repetition_penalty: Logits of tokens that stand in the text already are
            divided by it, negative ones multiplied (Keskar et al., 2019,
            arXiv:1909.05858). Defaults to 1, none.
        stop: Strings that end the text, and are not part of it. Defaults to none.
        stop_tokens: Tokens, by name or id, that end the text beside the model's own
            end. Defaults to none.
        seed: For the draws. Defaults to 0.

    >>> Sampling(stop="###").stop
    ('###',)
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    # Not typed as text: blanks at the ends of a stop string count.
    stop: Any = ()
    stop_tokens: Any = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
        require(self.max_new_tokens >= 1, self, "max_new_tokens", "1 or more")
        require(0 <= self.temperature <= 100, self, "temperature", "0 to 100")
        require(self.top_k >= 0, self, "top_k", "0 or more")
        require(0 < self.top_p <= 1, self, "top_p", "above 0, up to 1")
        positive = 0 < self.repetition_penalty <= 100
        require(positive, self, "repetition_penalty", "above 0, up to 100")
        for name in ("stop", "stop_tokens"):
            value = getattr(self, name)
            items = (value,) if isinstance(value, str | int) else tuple(value)
            kinds = str if name == "stop" else str | int
            if not all(isinstance(item, kinds) and item != "" for item in items):
                raise ConfigError(
                    f"{name}={shorten(value)}",
                    where="Sampling",
                    expected="texts that are not empty"
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


def penalised(logits: np.ndarray, seen: np.ndarray, penalty: float) -> np.ndarray:
    """Returns logits with those of seen tokens made smaller.

    Args:
        logits: Shape (vocabulary,).
        seen: Ids that stand in the text.
        penalty: Divides positive logits and multiplies negative ones.

    >>> penalised(np.array([2.0, -2.0, 1.0]), np.array([0, 1]), 2.0).tolist()
    [1.0, -4.0, 1.0]
    """
    result = logits.copy()
    values = logits[seen]
    result[seen] = np.where(values > 0, values / penalty, values * penalty)
    return result


def truncated(logits: np.ndarray, top_k: int, top_p: float) -> np.ndarray:
    """Returns logits with -inf for tokens that are not drawn.

    Args:
        logits: Shape (vocabulary,).
        top_k: Keeps the k largest; 0 for all.
        top_p: Keeps the fewest largest whose probabilities reach p together.

    >>> truncated(np.log(np.array([0.5, 0.3, 0.2])), 0, 0.6).round(2).tolist()
    [-0.69, -1.2, -inf]
    """
    result = logits.astype("float64")
    if 0 < top_k < len(result):
        smallest = np.partition(result, -top_k)[-top_k]
        result[result < smallest] = -np.inf
    if top_p < 1:
        order = np.argsort(-result, kind="stable")
        shares = np.cumsum(softmax(result)[order])
        # The token that reaches p is kept, as is the likeliest whatever p is.
        left_out = order[1:][shares[:-1] >= top_p]
        result[left_out] = -np.inf
    return result


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities, shape (vocabulary,)."""
    shifted = np.exp(logits - logits.max())
    return shifted / shifted.sum()


def choose(
    logits: np.ndarray, seen: np.ndarray, sampling: Sampling, random: Any
) -> int:
    """Returns the id of the next token.

    Args:
        logits: Shape (vocabulary,).
        seen: Ids of the text so far, prompt included.
        sampling: How to choose.
        random: A NumPy generator.
    """
    if sampling.repetition_penalty != 1:
        logits = penalised(logits, np.unique(seen), sampling.repetition_penalty)
    if not sampling.temperature:
        return int(logits.argmax())
    scaled = logits / sampling.temperature
    chances = softmax(truncated(scaled, sampling.top_k, sampling.top_p))
    return int(random.choice(len(chances), p=chances))
