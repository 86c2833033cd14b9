"""Conventions of a tokenizer in transformers: truncation and padding."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Conventions(NamedTuple):
    """Settings with which a tokenizer in transformers makes batches.

    Attributes:
        truncation_side: The side on which a text that is too long loses tokens.
        padding_side: The side on which short texts are padded. tfft always pads on the
            right, which the mask makes equivalent; exports keep this value.
        max_length: `model_max_length`, the maximum tokens in a text; None for no limit.
        input_names: The model's inputs by transformers' names; empty if the folder
            does not list them.
    """

    truncation_side: Literal["left", "right"] = "right"
    padding_side: Literal["left", "right"] = "right"
    max_length: int | None = None
    input_names: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """Returns the entries for a `tokenizer_config.json`."""
        found: dict[str, Any] = {
            "truncation_side": self.truncation_side,
            "padding_side": self.padding_side,
        }
        if self.max_length is not None:
            found["model_max_length"] = self.max_length
        if self.input_names:
            found["model_input_names"] = list(self.input_names)
        return found
