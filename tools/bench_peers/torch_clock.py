"""A stopwatch for transformers' Trainer."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from bench_peers.peer import Stopwatch


class Clock(TrainerCallback):
    """Tells the watch of epochs and steps."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        """An epoch begins."""
        self.watch.begin()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """The optimizer has stepped."""
        self.watch.step()


def trainable(model: Any) -> int:
    """Returns how many parameters train."""
    return sum(one.numel() for one in model.parameters() if one.requires_grad)
