"""What a training needs beyond its options, made before anything is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.data.table import Table
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.optimize import check_rates, left_to_adam, multipliers_of
from tfft.fitting.watch import projectors
from tfft.runs.build import Built
from tfft.tasks.task import Task


def plan_training(
    config: FinetuneConfig,
    folder: Path,
    task: Task,
    built: Built,
    tables: Mapping[str, Table],
) -> dict[str, Any]:
    """Returns the arguments of `fit` for rates by variable and for observers.

    Args:
        config: The options.
        folder: The run folder.
        task: Encodes the rows.
        built: The network to train.
        tables: The rows by split.

    Raises:
        ConfigError: For options that do not suit the network or the rows.
    """
    multipliers = multipliers_of(built, config.layer_decay)
    check_rates(config, built, multipliers)
    return {
        "multipliers": multipliers,
        "outputs": left_to_adam(built),
        "observers": projectors(config, folder, task, built, tables),
    }
