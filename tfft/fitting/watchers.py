"""Callbacks that write the logs and pictures of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.core.errors import ConfigError
from tfft.data.batching import Batches
from tfft.data.table import Table
from tfft.fitting.config import FinetuneConfig
from tfft.runs.build import Built
from tfft.runs.folder import LOGS, METRICS, TABLE
from tfft.tasks.task import Task

_STEPS = "steps"
_VALIDATION = "validation"  # where Keras writes the scalars of the validation rows
_ROWS_AT_ONCE = 32


def watchers(config: FinetuneConfig, folder: Path, batches: Batches) -> list[Any]:
    """Returns the callbacks that read `metrics.jsonl` and write TensorBoard's curves.

    Args:
        config: The options.
        folder: The run folder.
        batches: The training rows.
    """
    import keras

    from tfft.training.csv_file import MetricsTable
    from tfft.training.tensorboard import StepScalars

    logs = folder / LOGS
    tokens = batches.tokens()[0] / len(batches)
    return [
        MetricsTable(folder / METRICS, folder / TABLE),
        keras.callbacks.TensorBoard(
            str(logs), write_graph=False, profile_batch=config.profile or 0
        ),
        StepScalars(logs / _STEPS, config.log_every, tokens),
    ]


def projectors(
    config: FinetuneConfig,
    folder: Path,
    task: Task,
    built: Built,
    tables: Mapping[str, Table],
) -> list[Any]:
    """Returns the callback for TensorBoard's projector, if the options ask for one.

    Args:
        config: The options.
        folder: The run folder.
        task: Encodes the rows.
        built: The network in training.
        tables: The rows by split; the first validation rows are shown.

    Raises:
        ConfigError: Without validation rows, or with several vectors for a row.
    """
    if not config.projector:
        return []
    if "validation" not in tables:
        raise ConfigError(
            f"projector={config.projector} without validation rows",
            fix="add validation rows, or leave projector out",
        )
    from tfft.evaluation.forward import Forward
    from tfft.training.projector import Projector

    table = tables["validation"]
    table = table.select(range(min(config.projector, len(table))))
    examples = task.encode(table, built.pretrained.tokenizer, None).examples
    if len(examples) != len(table):
        raise ConfigError(
            f"projector={config.projector} with rows that are several examples each",
            fix="leave projector out",
        )
    forward = Forward(_summary(built))
    batches = Batches(examples, min(_ROWS_AT_ONCE, len(examples)))
    columns = {
        "label": [", ".join(labels) for labels in task.described(table)],
        "text": [" | ".join(texts) for texts in task.texts(table)],
    }
    # TensorBoard looks for points only in the folders that hold scalars.
    return [Projector(folder / LOGS / _VALIDATION, lambda: forward(batches), columns)]


def _summary(built: Built) -> Any:
    """Returns the network from its inputs to one vector for each text.

    This is the vector that the head reads, or, if the head reads several, the mean of
    the last layer's states.
    """
    from tfft.compute.first_token_model import FirstTokenModel
    from tfft.tasks.networks.pooling import summary

    backbone = built.pretrained.backbone
    pooling = getattr(built.network, "pooling", "mean")
    pooled = summary(built.pretrained.architecture, backbone, pooling)
    return FirstTokenModel(backbone.input, pooled, built.network)
