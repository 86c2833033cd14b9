"""How transformers' tokenizer of a model cuts and pads texts."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Conventions(NamedTuple):
    """How transformers' tokenizer of the model makes batches.

    Attributes:
        truncation_side: Where a text that is too long loses tokens.
        padding_side: Where short texts are padded. tfft pads on the right, whose
            mask gives the same numbers; this is kept for what is exported.
        max_length: `model_max_length`, the most tokens of a text; None for no limit.
        input_names: What the model is given, by transformers' names; empty where
            the folder does not say.
    """

    truncation_side: Literal["left", "right"] = "right"
    padding_side: Literal["left", "right"] = "right"
    max_length: int | None = None
    input_names: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """Returns them as entries of a `tokenizer_config.json`."""
        found: dict[str, Any] = {
            "truncation_side": self.truncation_side,
            "padding_side": self.padding_side,
        }
        if self.max_length is not None:
            found["model_max_length"] = self.max_length
        if self.input_names:
            found["model_input_names"] = list(self.input_names)
        return found
