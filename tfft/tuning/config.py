"""The options of `tune` in addition to those of `finetune`."""

from __future__ import annotations

from typing import Any, Literal

from tfft.core.config import configuration, require


@configuration()
class TuneConfig:
    """The options of a search, in addition to those of `finetune`.

    Args:
        space: Options of `finetune`, of the method or the task, with the values to
            search: a list, or `log_uniform`, `uniform`, `int_range`, `choice`.
        search: `random`, `bayesian`, `hyperband` or `grid`, a mapping of `name` and
            options of the KerasTuner class, or in Python an oracle of KerasTuner.
            `{name: grid, points: 7}` takes 7 values of each range of numbers instead
            of 5. Defaults to `random`.
        max_trials: The largest number of trainings. Defaults to 20, and for a grid to
            all of its combinations; Hyperband derives it from `epochs`.
        objective: The metric of the validation rows to optimize. Defaults to the one
            that decides which epoch of a training is kept.
        direction: `max` or `min`. Defaults to the better direction of the metric.
        prune: Whether to stop a trial that is worse than half of the others were at
            the same point. Defaults to True.
        worker_timeout: Seconds without a heartbeat after which a worker counts as
            dead. Defaults to 60.
    """

    space: Any
    search: Any = "random"
    max_trials: int | None = None
    objective: str | None = None
    direction: Literal["max", "min"] | None = None
    prune: bool = True
    worker_timeout: float = 60.0

    def __post_init__(self) -> None:
        """Raises for values that make no sense."""
        some = self.max_trials is None or self.max_trials >= 1
        require(some, self, "max_trials", "1 or more")
        require(self.worker_timeout >= 10, self, "worker_timeout", "10 seconds or more")
