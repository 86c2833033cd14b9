"""The replicas of a training, and which process writes."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.core.start import start_tensorflow


@dataclass(frozen=True)
class Replicas:
    """The devices that train together, seen from one process.

    Attributes:
        strategy: The tf.distribute strategy; None for one device.
        count: All replicas, of all processes.
        chief: Whether this is the process that writes.
    """

    strategy: Any
    count: int
    chief: bool

    @property
    def alone(self) -> bool:
        """Whether there is one replica only."""
        return self.count == 1

    def wait(self) -> None:
        """Returns when every process has come this far."""
        if not self.alone:
            from tfft.training.distribution import wait_for_all

            wait_for_all(self.strategy)

    @contextlib.contextmanager
    def folder(self, output: Path) -> Iterator[Path]:
        """Yields where this process writes: one that is thrown away but for the chief.

        Every process takes the same steps, writing among them, so that none waits
        for one that does something else.
        """
        if self.chief:
            yield output
            return
        with tempfile.TemporaryDirectory(prefix="tfft-") as scratch:
            yield Path(scratch)


@contextlib.contextmanager
def on_replicas(strategy: Any) -> Iterator[Replicas]:
    """Makes variables inside the block belong to the replicas of a strategy.

    Args:
        strategy: A name or a strategy, as `finetune` takes it.

    Raises:
        ConfigError: For one that is not known or not possible here.
    """
    if strategy is None:
        # Whatever is wrong with options or data is told before TensorFlow loads.
        yield Replicas(None, 1, True)
        return
    start_tensorflow()
    from tfft.training.distribution import choose_strategy, worker

    chosen = choose_strategy(strategy)
    with chosen.scope():
        yield Replicas(chosen, chosen.num_replicas_in_sync, worker(chosen)[0] == 0)
