"""The tasks under contract, and the contracts; a new task needs an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfft.tasks.task import TASKS


@dataclass(frozen=True)
class TaskEntry:
    """One task in the suite.

    Attributes:
        rows: Rows of different lengths.
        bad: Rows that the task cannot use.
        texts: Texts for a server, one tuple of columns each.
        perfect: Returns the outputs of a network that makes no mistake.
        scores: What its report then says.
        options: Values that are not the defaults.
        unseen: A row with a label that the rows lack, for tasks that learn labels.
        decoder: Whether it needs a decoder.
    """

    rows: list[dict[str, Any]]
    bad: list[dict[str, Any]]
    texts: list[tuple[str, ...]]
    perfect: Callable[[Any, tuple[Any, ...]], Any]
    scores: dict[str, float]
    options: dict[str, Any] = field(default_factory=dict)
    unseen: dict[str, Any] | None = None
    decoder: bool = False


SURE = 40.0  # a logit whose softmax is 1 in float32


def class_logits(encoded, labels):
    return SURE * np.eye(len(labels))[encoded.examples.values["labels"]]


def yes_or_no_logits(encoded, labels):
    return SURE * (2 * encoded.examples.values["labels"] - 1)


def numbers(encoded, labels):
    return encoded.examples.values["labels"][:, None]


def tag_logits(encoded, labels):
    every = map(np.array, encoded.examples.sequences["labels"])
    return [SURE * (ids[:, None] == np.arange(len(labels))) for ids in every]


def answer_logits(encoded, labels):
    values, found = encoded.examples.values, []
    for row, ids in enumerate(encoded.examples.sequences["token_ids"]):
        logits = np.zeros((len(ids), 2))
        logits[values["start_positions"][row], 0] = SURE
        logits[values["end_positions"][row], 1] = SURE
        found.append(logits)
    return found


def no_losses(encoded, labels):
    every = encoded.examples.sequences["labels"]
    return [np.tile([0.0, 1.0], (len(ids), 1)) for ids in every]


WORDS = ["good", "bad good", "good bad ! abc", "", "e\u0301te\u0301 xyz", "a " * 70]
TEXTS = [(text,) for text in WORDS]
LENGTHS = [1, 5, 2, 9, 3, 12]


def text_rows(label, *values):
    texts = ["good " * length for length in LENGTHS]
    return [{"text": text, label: values[i % 3]} for i, text in enumerate(texts)]


TASK_TABLE = {
    "causal_lm": TaskEntry(
        rows=[
            {"prompt": "ab" * length, "completion": "c" * (i + 1)}
            for i, length in enumerate(LENGTHS)
        ],
        bad=[{"prompt": "ab", "completion": None}, {"prompt": "ab", "completion": ""}],
        texts=[("good",), ("a bad one",), ("x",)],
        perfect=no_losses,
        scores={"loss": 0.0, "token_accuracy": 1.0, "perplexity": 1.0},
        options={"max_length": 64, "z_loss": 0.01},
        decoder=True,
    ),
    "multi_label": TaskEntry(
        rows=text_rows("labels", ["a"], ["a", "b"], []),
        bad=[{"text": "", "labels": []}, {"text": "good", "labels": 3}],
        texts=TEXTS,
        perfect=yes_or_no_logits,
        scores={"micro_f1": 1.0, "all_right": 1.0},
        options={"thresholds": (0.25, 0.75), "max_length": 64},
        unseen={"text": "good", "labels": ["c"]},
    ),
    "question_answering": TaskEntry(
        rows=[
            {
                "question": "bad " * (1 + i % 2) + "?",
                "context": "a " * length + "good abc",
                "answers": [{"text": "good", "answer_start": 2 * length}][: i % 3],
            }
            for i, length in enumerate(LENGTHS)
        ],
        bad=[
            {"question": "", "context": "good", "answers": []},
            {"question": "bad", "context": "good", "answers": "good"},
        ],
        texts=[(question, text) for question in ("bad?", "good") for text in WORDS],
        perfect=answer_logits,
        scores={"exact_match": 1.0, "f1": 1.0},
        options={"max_length": 48, "stride": 8, "max_question": 8, "n_best": 3},
    ),
    "regression": TaskEntry(
        rows=text_rows("label", 1.5, -2.0, 7.0),
        bad=[{"text": "", "label": 1.0}, {"text": "good", "label": "high"}],
        texts=TEXTS,
        perfect=numbers,
        scores={"rmse": 0.0, "pearson": 1.0},
        options={"tail_tokens": 5, "max_length": 64},
    ),
    "text_classification": TaskEntry(
        rows=text_rows("label", "a", "b", "c"),
        bad=[{"text": "", "label": "a"}, {"text": "good", "label": None}],
        texts=TEXTS,
        perfect=class_logits,
        scores={"accuracy": 1.0, "macro_f1": 1.0},
        options={"class_weights": "a=2", "label_smoothing": 0.1, "max_length": 64},
        unseen={"text": "good", "label": "d"},
    ),
    "token_classification": TaskEntry(
        rows=[
            {
                "tokens": ["good", "xyz"] * length,
                "ner_tags": ["B-X" if i % 2 else "O", "B-Y"] * length,
            }
            for i, length in enumerate(LENGTHS)
        ],
        bad=[
            {"tokens": [], "ner_tags": []},
            {"tokens": ["good"], "ner_tags": ["O", "O"]},
        ],
        texts=TEXTS,
        perfect=tag_logits,
        scores={"f1": 1.0, "precision": 1.0, "recall": 1.0},
        options={"max_length": 24, "stride": 6, "focal_gamma": 1.0},
        unseen={"tokens": ["good"], "ner_tags": ["B-Z"]},
    ),
}

# Name of the test after `test_`, and what it shows.
TASK_CONTRACTS = {
    "same_ids": "the same rows give the same ids, whatever rows surround them",
    "loss_alone": "a row's loss does not depend on its neighbors or on padding",
    "perfect": "outputs without a mistake score perfectly",
    "answers": "one answer for each row, of plain JSON values",
    "served": "a SavedModel's graph answers as NumPy does",
    "labels": "labels do not depend on the order of rows; unseen ones are refused",
    "options": "options survive as plain JSON values",
    "bad_rows": "unusable rows are refused with their place",
    "names": "task, file and report share a name",
}


def task_exception(name: str, contract: str) -> str:
    """Returns what a task declares instead of a contract, or nothing."""
    if contract == "answers" and TASKS.get(name).generates:
        return "generates"
    if contract == "labels" and TASK_TABLE[name].unseen is None:
        return "no labels"
    return ""


def task_markdown() -> str:
    """Returns the table of tasks and contracts for the docs."""
    names = TASKS.names()
    lines = [
        "## Tasks",
        "",
        "| | " + " | ".join(f"`{name}`" for name in names) + " |",
        "| --- |" + " :-: |" * len(names),
    ]
    for contract, title in TASK_CONTRACTS.items():
        cells = " | ".join(task_exception(name, contract) or "✓" for name in names)
        lines.append(f"| {title} | {cells} |")
    return "\n".join(lines) + "\n"
