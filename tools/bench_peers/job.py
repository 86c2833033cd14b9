"""The jobs, and what must be equal in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench_peers.compare import Figure, MustMatch
from bench_peers.environments import PEERS

_PEAK = Figure("peak_gb", "peak memory, GB")
_FIRST = Figure("first_step_seconds", "from the process' start to the first step, s")
_PROCESSOR = Figure("epoch_processor_seconds", "the same in processor seconds")

_TRAINING = Figure("training_seconds", "training, s")


@dataclass(frozen=True)
class Job:
    """A job that every peer does.

    Attributes:
        about: Its description in the table.
        script: Start of the scripts' names in `jobs`; the peer's name follows.
        figures: The measured figures; the first one decides.
        must_match: The values that must match between peers.
        assets: The models and data it needs.
        arguments: The arguments of the scripts.
        rows: Default number of rows; 0 for jobs without rows.
        cases: Further arguments by name, for jobs with several cases.
        peers: The peers that can do it.
    """

    about: str
    script: str
    figures: tuple[Figure, ...]
    must_match: MustMatch
    assets: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    rows: int = 0
    cases: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"": ()})
    peers: tuple[str, ...] = PEERS


# KerasHub's adapter has another shape, and no rank gives the same number of
# trainable parameters: its scripts use the closest rank.
_TRAINABLE = 0.25
# Packed rows hold as many tokens as padded ones, but end in other places.
_LANGUAGE = MustMatch(
    work={
        "rows": 0,
        "tokens": 0.01,
        "labels": 0.01,
        "steps": 0.15,
        "trainable": _TRAINABLE,
        "precision": 0,
    },
    quality={"loss": 0.1},
)
_LABELS = Figure("labels_per_second", "labeled tokens/s", higher_is_better=True)

_ROWS = Figure("rows_per_second", "rows/s", higher_is_better=True)
_CLASSES = {
    "rows": 0,
    "tokens": 0.001,
    "epochs": 0,
    "steps": 0,
    "trainable": _TRAINABLE,
    "precision": 0,
}
_TOKENS = Figure("tokens_per_second", "tokens/s", higher_is_better=True)


def _made_up(rows: int, batch: int, length: int) -> tuple[str, ...]:
    """Returns the arguments for rows of equal length.

    The rate is so low that the loss stays at its starting value, which is the same for
    all peers. On made-up rows, adapters of different shapes diverge after a few steps.
    """
    return (
        *("--model", "gpt2", "--rows", str(rows), "--learning_rate", "1e-7"),
        *("--batch_size", str(batch), "--length", str(length)),
    )


JOBS: dict[str, Job] = {
    "sft": Job(
        about="GPT-2 124 M, random weights, LoRA on alpaca rows, loss on completions: "
        "the second epoch",
        script="sft",
        figures=(_LABELS, _PROCESSOR, _PEAK, _FIRST),
        must_match=_LANGUAGE,
        assets=("gpt2", "alpaca"),
        arguments=("--model", "gpt2"),
        rows=64,
    ),
    "cls": Job(
        about="MiniLM-L6, spam or ham, mails of at most 256 tokens, LoRA on all linear "
        "layers: the second epoch",
        script="classify",
        figures=(_ROWS, _PROCESSOR, _PEAK, _FIRST),
        must_match=MustMatch(_CLASSES, quality={"macro_f1": 0.05}),
        assets=("minilm", "spam"),
        arguments=("--method", "lora"),
        rows=512,
    ),
    "head": Job(
        about="MiniLM-L6, the same mails, all but the classifier frozen: a training of "
        "five epochs, what is computed ahead included",
        script="classify",
        figures=(_TRAINING, _PEAK, _FIRST),
        # After five epochs the score of a classifier alone is still far from settled.
        must_match=MustMatch(_CLASSES, quality={"training_loss": 0.2}),
        assets=("minilm", "spam"),
        arguments=("--method", "head", "--epochs", "5"),
        rows=512,
    ),
    "predict": Job(
        about="MiniLM-L6, labels of raw mails, given all at once, by the same weights "
        "in float32: the second pass",
        script="predict",
        figures=(
            Figure("texts_per_second", "texts/s", higher_is_better=True),
            _PEAK,
        ),
        must_match=MustMatch(
            work={"rows": 0, "precision": 0, "labelled_spam": 0.05},
            quality={"accuracy": 0.01, "mean_score": 0.01},
        ),
        assets=("classifier",),
        rows=512,
        cases={
            "tfft by its SavedModel": ("--through", "saved_model"),
            "tfft by run.predict": ("--through", "run"),
        },
    ),
    "start": Job(
        about="Seconds to an import, to the command's help, and from the start of a "
        "process to the first step of job cls, with warm caches of files",
        script="start",
        figures=(
            _FIRST,
            Figure("import_seconds", "import, s"),
            Figure("help_seconds", "the command's --help, s"),
        ),
        must_match=MustMatch(work={"rows": 0, "tokens": 0.001, "precision": 0}),
        assets=("minilm", "spam"),
        rows=32,
    ),
    "ner": Job(
        about="MiniLM-L6, CoNLL-2003, all weights train: the second epoch",
        script="tag",
        figures=(_ROWS, _PROCESSOR, _PEAK, _FIRST),
        must_match=MustMatch(
            work={**_CLASSES, "trainable": 0.01}, quality={"entity_f1": 0.1}
        ),
        assets=("minilm", "conll"),
        rows=1024,
        # KerasHub does not have this task.
        peers=("tfft", "torch"),
    ),
    "memory": Job(
        about="GPT-2 124 M, LoRA, every token a label: the peak of training by rows "
        "and tokens of a step",
        script="sft",
        figures=(_PEAK, _TOKENS),
        must_match=_LANGUAGE,
        assets=("gpt2",),
        cases={
            f"{rows} rows of {length} tokens": _made_up(rows, rows, length)
            for rows, length in ((1, 512), (4, 512), (8, 512), (1, 1024), (4, 1024))
        },
    ),
    "smollm": Job(
        about="SmolLM2-135M-Instruct, LoRA on alpaca rows, loss on completions: the "
        "second epoch",
        script="sft",
        figures=(_LABELS, _PROCESSOR, _PEAK, _FIRST),
        must_match=_LANGUAGE,
        assets=("smollm2", "alpaca"),
        arguments=("--model", "smollm2"),
        rows=64,
    ),
    "scaling": Job(
        about="GPT-2 124 M, LoRA, every token a label: how a step's cost grows with "
        "the length",
        script="sft",
        figures=(_TOKENS, _PEAK),
        must_match=_LANGUAGE,
        assets=("gpt2",),
        cases={
            f"{2048 // length} rows of {length} tokens": _made_up(
                4096 // length, 2048 // length, length
            )
            for length in (128, 256, 512, 1024)
        },
    ),
    "replicas": Job(
        about="Job sft by tfft in replicas on one processor: what mirroring costs",
        script="sft",
        figures=(_LABELS, _PROCESSOR, _PEAK),
        must_match=_LANGUAGE,
        assets=("gpt2", "alpaca"),
        arguments=("--model", "gpt2"),
        rows=64,
        cases={f"{n}": ("--replicas", str(n)) for n in (1, 2)},
        peers=("tfft",),
    ),
}
