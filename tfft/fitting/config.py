"""The options of `finetune`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from tfft.core.config import configuration, require
from tfft.core.errors import ConfigError
from tfft.data.rows import OnBadRows
from tfft.fitting.config_checks import check_optimizing, check_watching
from tfft.training.names import OnNaN, Precision

_ROWS = 16  # what batch_size="auto" means


@configuration(
    aliases={
        "num_train_epochs": "epochs",
        "per_device_train_batch_size": "batch_size",
        "lr_scheduler_type": "schedule",
        "warmup_ratio": "warmup",
        "max_grad_norm": "clip_norm",
        "overwrite_output_dir": "overwrite",
        "resume_from_checkpoint": "resume",
    }
)
class FinetuneConfig:
    """The options of `finetune`, also on the command line and in YAML.

    Args:
        model: A Hugging Face folder, a KerasHub preset name or folder, or in
            Python a KerasHub backbone or task.
        data: A .csv, .tsv, .jsonl or .parquet file, a folder of train, validation
            and test files, or `tfds:NAME`; in Python also a data frame, a list of
            dicts, a dict of columns or of splits, or a data set.
        output_dir: The run folder to write.
        task: Name or object. Defaults to `text_classification`.
        method: Name or object. `auto` uses what `tfft.recommend` recommends.
            Defaults to `lora`.
        validation: Share of the training rows to validate on, or data. Used if
            `data` has no validation split. Defaults to 0.1.
        test: Share of the rows to test on, or data. Used if `data` has no test
            split. Defaults to 0.1.
        on_bad_rows: `error` refuses unusable rows, `skip` counts and
            lists them. Defaults to `error`.
        tokenizer: In Python, the tokenizer of a bare backbone.
        backbone_dropout: Dropout inside the backbone in training, from 0 up to but
            not including 1. Defaults to the model's own.
        epochs: Passes over the training rows. Defaults to 3. If 3 would be fewer
            than 100 steps, defaults to as many as give 100 steps, but at most 50.
        batch_size: Rows per step, over all replicas and pieces. `auto` takes 16, in
            as many pieces as memory requires. Defaults to 16.
        accumulation: Number of pieces in which a replica computes its rows of a
            step, one after another: less memory, same result. Defaults to 1.
        strategy: `mirrored` (all GPUs, or the logical CPUs), `mirrored:N`,
            `multi_worker` (from TF_CONFIG, see `tfft launch`), `tpu`, or in Python a
            tf.distribute.Strategy. Defaults to one device.
        learning_rate: The peak learning rate. Defaults to the method's.
        warmup: Share of the steps in which the learning rate rises. Defaults to 0.1.
        schedule: `cosine`, `linear`, `polynomial` or `constant` after warm-up, or in
            Python a Keras `LearningRateSchedule`, which replaces warm-up too.
            Defaults to `cosine`.
        weight_decay: Does not apply to biases and norms, nor with `adam`. Defaults
            to 0.01.
        clip_norm: Largest norm of the gradient; 0 for no limit. Defaults to 1.
        early_stopping: Epochs without improvement before training stops; 0 for
            never. The best weights are kept in any case. Defaults to 2, or to 0
            with fewer than 20 validation rows.
        seed: For splits, row order, new weights and dropout. Defaults to 42.
        precision: Precision of training: `auto`, `float32`, `mixed_bfloat16` or
            `mixed_float16`. Results are always computed in float32. Defaults to
            `auto`.
        compile_step: Whether XLA compiles the step. Defaults to yes on GPUs and
            TPUs.
        on_nan: `stop` ends the training at a step whose loss or gradient is not
            finite; `skip` skips and counts the step. Defaults to `stop`.
        save_every: Steps between checkpoints. Defaults to one checkpoint at the end
            of each epoch.
        keep_last: Number of latest checkpoints to keep during training. Defaults to
            2.
        keep_best: Number of further checkpoints to keep, those with the best
            validation score. Defaults to 0.
        optimizer: `adamw`, `adam`, `sgd`, `adafactor`, `lion` or `muon`; a mapping
            of `name` and options of the Keras class; or in Python a Keras optimizer,
            with its own learning rate and weight decay. Defaults to `adamw`.
        warmup_steps: Number of steps in which the learning rate rises, instead of
            `warmup`.
        schedule_power: Exponent of the `polynomial` schedule. Defaults to 2.
        no_decay: Patterns of further variables without weight decay, such as
            `classifier.*` or `*.lora_b`. Defaults to none.
        layer_decay: Each layer's learning rate is this times that of the layer
            above, and the top layer's is this times the head's. Defaults to 1.
        ema: Momentum of a moving average of the weights, which is validated and kept
            instead of the weights; 0 for no average. Defaults to 0.
        callbacks: In Python, a list of Keras callbacks.
        log_every: Steps between points of TensorBoard's curves. Defaults to 10.
        profile: First and last step to profile for TensorBoard, such as `10,15`.
            Defaults to none.
        projector: Number of validation rows to show in TensorBoard's projector.
            Defaults to 0.
        cache_frozen: Whether to compute the layers below everything that trains, and
            below any dropout, once for each row. Defaults to yes if there are such
            layers and more than one epoch.
        overwrite: Whether to replace what the run folder holds. Defaults to False.
        resume: Whether to continue from the last checkpoint of an interrupted run.
            The result is the same as without the interruption. Defaults to False.
        verbose: 0 prints nothing, 1 prints progress and results. Defaults to 1.
    """

    model: Any
    data: Any
    output_dir: Any
    task: Any = "text_classification"
    method: Any = "lora"
    validation: Any = 0.1
    test: Any = 0.1
    on_bad_rows: OnBadRows = "error"
    tokenizer: Any = None
    backbone_dropout: float | None = None
    epochs: int | None = None
    batch_size: int | Literal["auto"] = 16
    accumulation: int = 1
    strategy: Any = None
    learning_rate: float | None = None
    warmup: float = 0.1
    schedule: Any = "cosine"
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    early_stopping: int | None = None
    seed: int = 42
    precision: Precision = "auto"
    compile_step: bool | None = None
    on_nan: OnNaN = "stop"
    save_every: int | None = None
    keep_last: int = 2
    keep_best: int = 0
    optimizer: Any = "adamw"
    warmup_steps: int | None = None
    schedule_power: float = 2.0
    no_decay: Sequence[str] = ()
    layer_decay: float = 1.0
    ema: float = 0.0
    callbacks: Sequence[Any] = ()
    log_every: int = 10
    profile: Sequence[int] = ()
    projector: int = 0
    cache_frozen: bool | None = None
    overwrite: bool = False
    resume: bool = False
    verbose: int = 1

    def __post_init__(self) -> None:
        """Raises for invalid values."""
        require(self.epochs is None or self.epochs >= 1, self, "epochs", "1 or more")
        rows = self.rows_per_step
        require(rows >= 1, self, "batch_size", "1 or more, or auto")
        fits = 1 <= self.accumulation <= rows
        require(fits, self, "accumulation", f"1 to batch_size={rows}")
        saves = self.save_every is None or self.save_every >= 1
        require(saves, self, "save_every", "1 or more steps")
        require(self.keep_last >= 1, self, "keep_last", "1 or more")
        require(self.keep_best >= 0, self, "keep_best", "0 or more")
        positive = self.learning_rate is None or 0 < self.learning_rate < 10
        require(positive, self, "learning_rate", "a number above 0 and below 10")
        require(0 <= self.warmup < 1, self, "warmup", "from 0 up to but not 1")
        require(self.weight_decay >= 0, self, "weight_decay", "0 or more")
        require(self.clip_norm >= 0, self, "clip_norm", "0 or more")
        patient = self.early_stopping is None or self.early_stopping >= 0
        require(patient, self, "early_stopping", "0 or more")
        require(0 <= self.seed < 2**31, self, "seed", "0 to 2147483647")
        dropout = self.backbone_dropout
        fits = dropout is None or 0 <= dropout < 1
        require(fits, self, "backbone_dropout", "from 0 up to but not 1")
        check_optimizing(self)
        check_watching(self)
        if self.overwrite and self.resume:
            raise ConfigError(
                "overwrite=True and resume=True are both given",
                where="FinetuneConfig",
                expected="one of them",
                fix="leave out overwrite to continue, or resume to start over",
            )

    @property
    def rows_per_step(self) -> int:
        """Rows of one optimizer step."""
        return _ROWS if self.batch_size == "auto" else self.batch_size
