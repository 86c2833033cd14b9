"""What a fine-tuning will cost: counted, and timed on a few real steps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tfft.compute.precision import compute_policy, set_compute_policy
from tfft.core.config import accepts
from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError, OutOfMemoryError, shorten
from tfft.core.start import start_tensorflow
from tfft.fitting.auto import settled
from tfft.fitting.batches import training_batches
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.cost import Cost
from tfft.fitting.cost import estimate as cost_of
from tfft.fitting.defaults import with_defaults
from tfft.fitting.prepare import prepare
from tfft.fitting.probe import probe
from tfft.fitting.verb_options import EstimateOptions
from tfft.methods.method import METHODS, Method
from tfft.models.pretrained import load_pretrained
from tfft.runs.build import build
from tfft.tasks.task import TASKS, Task


@dataclass(frozen=True)
class Estimate(Cost):
    """What a training will cost.

    Attributes:
        precision: What it computes in.
        kept: Bytes of the states of frozen layers that are computed once; 0 when
            none are.
        seconds_per_step: Of a step as long as the mean one.
        seconds: Of training and its validations, without start-up and final scores.
        note: Why frozen layers are not computed once, when dropout prevents it.
    """

    precision: str
    kept: int
    seconds_per_step: float
    seconds: float
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
        if self.kept:
            lines["frozen layers"] = f"computed once, {self.kept / 1e6:,.1f} MB"
        if self.note:
            lines["note"] = self.note
        return "\n".join(f"{name + ':':15}{text}" for name, text in lines.items())


@accepts(EstimateOptions)
def estimate(**options: Any) -> Estimate:
    """Returns what a fine-tuning will cost, without doing it.

    A few real steps are done, of the longest batch and of a typical one, in the
    precision of the training; nothing is written.

    Args:
        **options: Those of `finetune`; `output_dir` may be left out. Those that do
            not change the cost, such as `callbacks`, have no effect.

    Raises:
        ConfigError: For invalid options, and for `strategy`: steps are timed on one
            device.
        MissingInputError: For data or a model that is not there.
        DataError: For data or model files that cannot be used.
        OutOfMemoryError: When a step does not fit into memory.
    """
    check_environment()
    start_tensorflow()
    import tensorflow as tf

    options, _ = settled({"output_dir": None, **options})
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
    from tfft.training.hardware import choose_precision

    task: Task = TASKS.resolve(config.task)
    method: Method = METHODS.resolve(config.method)
    prepared = prepare(
        task,
        config.data,
        validation=config.validation,
        test=config.test,
        on_bad_rows=config.on_bad_rows,
        seed=config.seed,
    )
    pretrained = load_pretrained(
        config.model, config.tokenizer, config.backbone_dropout
    )
    backbone = pretrained.backbone
    task, _ = task.suited_to(pretrained)
    task, _ = task.learned_from(prepared.tables["train"], prepared.labels)
    examples = {
        split: task.encode(table, pretrained.tokenizer, prepared.labels).examples
        for split, table in prepared.tables.items()
    }
    network = build(task, method, pretrained, prepared.labels, config.seed).network
    policy = choose_precision(config.precision)
    if compute_policy(backbone) != policy:
        set_compute_policy(backbone, policy)
    pieces = config.accumulation
    batches = training_batches(examples["train"], config)
    validated = len(prepared.tables.get("validation", ()))
    config, _ = with_defaults(config, len(batches), validated)
    half = policy != "float32"
    cost = cost_of(network, backbone, batches, config.epochs, half, accumulation=pieces)
    validation = examples.get("validation")
    times = probe(network, task.loss, batches, validation, config, policy)
    facts = dataclasses.asdict(cost)
    return Estimate(
        **{**facts, "memory": cost.memory + times.kept},
        precision=policy,
        kept=times.kept,
        seconds_per_step=times.step,
        seconds=times.once + config.epochs * times.epoch,
        note=times.note,
    )


def _duration(seconds: float) -> str:
    """Returns a time as people say it.

    >>> _duration(42), _duration(600), _duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
