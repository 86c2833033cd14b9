"""A stopwatch for transformers' Trainer."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from bench_peers.peer import Stopwatch


class Clock(TrainerCallback):
    """Reports epochs and steps to the stopwatch."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        """Reports that an epoch begins."""
        self.watch.begin()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """Reports that the optimizer took a step."""
        self.watch.step()


def trainable(model: Any) -> int:
    """Returns the number of trainable parameters."""
    return sum(one.numel() for one in model.parameters() if one.requires_grad)
