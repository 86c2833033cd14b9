"""Estimates the cost of a fine-tuning: counted, and timed on a few real steps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tfft.core.config import accepts
from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError, OutOfMemoryError, shorten
from tfft.core.start import start_tensorflow
from tfft.fitting.auto import without_auto
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.cost import Cost, cost_of
from tfft.fitting.probe import probe
from tfft.fitting.session import Session
from tfft.fitting.verb_options import EstimateOptions

_NOT_COUNTED = ("callbacks", "log_every", "profile", "projector", "save_every")


@dataclass(frozen=True)
class Estimate(Cost):
    """The cost of a training.

    Attributes:
        precision: The precision of the training.
        kept: Bytes of frozen states that are computed once; 0 without frozen states.
        seconds_per_step: Seconds of a step of mean length.
        seconds: Seconds of training and validation, without start-up and final scores.
        disk: Maximum bytes of the checkpoints that training keeps.
        note: Why frozen layers are not computed once, if dropout prevents it, and which
            options take time that is not counted.
    """

    precision: str
    kept: int
    seconds_per_step: float
    seconds: float
    disk: int
    note: str

    def __str__(self) -> str:
        """Returns the lines that `tfft estimate` prints."""
        lines = {
            "parameters": f"{self.total:,}, {self.trainable:,} of them trainable",
            "peak memory": f"about {self.memory / 1e9:.1f} GB",
            "steps": f"{self.steps:,} in {self.epochs} epochs",
            "tokens": f"{self.tokens:,} an epoch, {100 * self.padding:.0f} % padding",
            "time": f"about {_duration(self.seconds)}, "
            f"{self.seconds_per_step:.3f} s a step in {self.precision}",
        }
        lines["checkpoints"] = f"at most {self.disk / 1e6:,.1f} MB while training"
        if self.kept:
            lines["frozen layers"] = f"computed once, {self.kept / 1e6:,.1f} MB"
        if self.note:
            lines["note"] = self.note
        return "\n".join(f"{name + ':':15}{text}" for name, text in lines.items())


@accepts(EstimateOptions)
def estimate(**options: Any) -> Estimate:
    """Estimates the cost of a training without running it.

    It runs a few real steps, of the longest batch and of a typical one, in the
    precision of the training. It writes nothing.

    Args:
        **options: The options of `finetune`; `output_dir` may be left out. A note
            names options that take time that is not counted, such as `callbacks`.

    Raises:
        ConfigError: For invalid options, and for `strategy`: steps are timed on one
            device.
        MissingInputError: For missing data or a missing model.
        DataError: For unusable data or model files.
        OutOfMemoryError: When a step does not fit into memory.
    """
    check_environment()
    start_tensorflow()
    import tensorflow as tf

    options, _ = without_auto({"output_dir": None, **options})
    config = FinetuneConfig(**options)
    if config.strategy is not None:
        raise ConfigError(
            f"strategy={shorten(config.strategy)}",
            where="estimate",
            expected="one device, on which its steps are timed",
            fix="leave strategy out here, and give it to finetune",
        )
    try:
        return _estimate(config)
    except tf.errors.ResourceExhaustedError as error:
        raise OutOfMemoryError(
            f"a step of {config.rows_per_step} rows does not fit into memory",
            where="estimate",
            fix="raise accumulation, lower batch_size or task.max_length",
        ) from error


def _estimate(config: FinetuneConfig) -> Estimate:
    session = Session(config, None, lambda text: None, once=True)
    plan = session.plan()
    half = plan.policy != "float32"
    cost = cost_of(plan.network.built.network, plan.batches, plan.config, half)
    times = probe(plan, session.inputs.examples.get("validation"))
    return Estimate(
        **{**dataclasses.asdict(cost), "memory": cost.memory + times.kept},
        precision=plan.policy,
        kept=times.kept,
        seconds_per_step=times.step,
        seconds=times.once + cost.epochs * times.epoch,
        disk=times.checkpoint * (config.keep_last + config.keep_best),
        note="; ".join(filter(None, [times.note, _not_counted(config)])),
    )


def _not_counted(config: FinetuneConfig) -> str:
    """Returns a note about options that cost time which is not estimated."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    asked = [name for name in _NOT_COUNTED if getattr(config, name) != defaults[name]]
    return f"the time of {', '.join(asked)} is not counted" if asked else ""


def _duration(seconds: float) -> str:
    """Returns a time as people say it.

    >>> _duration(42), _duration(600), _duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
