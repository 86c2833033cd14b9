"""The replicas of a training, and the process that writes its files."""

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
    """The devices that train together, as one process sees them.

    Attributes:
        strategy: The tf.distribute strategy; None for one device.
        count: Number of replicas in all processes.
        chief: Whether this process writes the run folder.
    """

    strategy: Any
    count: int
    chief: bool

    @property
    def alone(self) -> bool:
        """Whether there is only one replica."""
        return self.count == 1

    def wait(self) -> None:
        """Waits until every process has come this far."""
        if not self.alone:
            from tfft.training.distribution import wait_for_all

            wait_for_all(self.strategy)

    @contextlib.contextmanager
    def folder(self, output: Path) -> Iterator[Path]:
        """Yields the folder this process writes to; only the chief's is permanent.

        Every process takes the same steps, including writing, so that no process waits
        for another that does something else.
        """
        if self.chief:
            yield output
            return
        with tempfile.TemporaryDirectory(prefix="tfft-") as scratch:
            yield Path(scratch)


@contextlib.contextmanager
def on_replicas(strategy: Any) -> Iterator[Replicas]:
    """Creates variables inside the block on the replicas of a strategy.

    Args:
        strategy: A name or a strategy, as `finetune` takes it.

    Raises:
        ConfigError: For an unknown strategy, or one that this machine cannot run.
    """
    if strategy is None:
        # Errors in options or data come before TensorFlow loads.
        yield Replicas(None, 1, True)
        return
    start_tensorflow()
    from tfft.training.distribution import choose_strategy, worker

    chosen = choose_strategy(strategy)
    with chosen.scope():
        yield Replicas(chosen, chosen.num_replicas_in_sync, worker(chosen)[0] == 0)
