"""Exporting a run: merged, asked outside of tfft, then published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfft.core.errors import TfftError
from tfft.core.files import storage_errors
from tfft.data import sources
from tfft.data.table import Table
from tfft.recipes.export_files import Proof, write_beside, write_server_files
from tfft.tasks.served.endpoint import Tryout

if TYPE_CHECKING:
    from tfft.recipes.run import Run

# Where padding and batches differ, and with them the order of float32 sums.
_TOLERANCE = 1e-5
_MOST_TEXTS, _MOST_ROWS = 10_000, 24
_AT_ONCE = 16
# Looked at before publishing: what tokenizers stumble over.
HARD = (
    "A plain sentence, with a comma.",
    "",
    " \t\n",
    "Crème brûlée ÀÉÎÕÜ ẞ İ ﬁ e\u0301",
    "中文字符 mixed with words, ไทย and हिन्दी",
    "🙂👩\u200d👩\u200d👧 \u202ehidden\u202c \x00\x07control\u00ad",
    "[CLS] [SEP] [MASK] is text " + "x" * 150,
    "don't we'll I'M 1,000.50 €  two  spaces \n    indented\n",
    "long " * 2000,
)


@dataclass(frozen=True)
class Trial:
    """What an export is asked before it is published.

    Attributes:
        texts: For their tokens.
        tryout: For their answers.
        data: What the texts are beside the hard ones, in words.
    """

    texts: list[str]
    tryout: Tryout
    data: str


def export_model(run: Run, directory: Path, data: Any = None) -> Path:
    """Writes a SavedModel that answers from raw text; see `Run.export`."""
    from tfft.serving.saved_model import publish
    from tfft.serving.text_to_ids import TextToIds

    built, task = run.built, run.task
    tokenizer = TextToIds(built.pretrained.tokenizer, task.max_length, task.tail_tokens)
    endpoints = task.endpoints(built.network, tokenizer, run.labels)
    columns = list(endpoints["serving_default"].inputs)
    trial = make_trial(run, columns, data)
    endpoints["tokenize"] = tokenizer.endpoint()

    def finish(folder: Path) -> None:
        proof = prove(run, folder, columns, trial)
        with storage_errors(folder):
            write_beside(run, folder, proof, endpoints)

    with built.adapter.folded():
        version = publish(endpoints, built.network, directory, finish=finish)
    with storage_errors(directory):
        write_server_files(directory)
    return version


def make_trial(run: Run, columns: Sequence[str], data: Any = None) -> Trial:
    """Returns the hard texts, and those of the training where they are at hand.

    Args:
        run: The run, not merged.
        columns: The inputs of `serving_default`.
        data: Anything that holds rows. Defaults to the data of the training.

    Raises:
        DataError: When data that was given has not the task's columns.
    """
    count, rows = len(columns), hard_rows(len(columns))
    table, said = _training_rows(run, data)
    if table is None:
        return Trial(list(HARD), run.task.tryout(run, rows), said)
    found = list(dict.fromkeys(run.task.texts(table)))
    every = list(dict.fromkeys(text for row in found for text in row))
    texts = every[:_MOST_TEXTS]
    few = [row for row in found if len(row) == count][:_MOST_ROWS]
    return Trial(
        [*HARD, *texts],
        run.task.tryout(run, [*rows, *few]),
        f"{len(texts):,} of {len(every):,} texts of {said}",
    )


def hard_rows(columns: int) -> list[tuple[str, ...]]:
    """Returns each hard text in each of some columns, a plain one in the others."""
    return [
        tuple(text if place == column else HARD[0] for place in range(columns))
        for column in range(columns)
        for text in HARD
    ]


def _training_rows(run: Run, data: Any) -> tuple[Table | None, str]:
    """Returns the training rows and what they are; None when they are not there."""
    if data is not None:
        return sources.read(data)["train"], "the given data"
    try:
        table = sources.read(run.record["config"]["data"])["train"]
        run.task.texts(table)
    except TfftError:
        return None, "no texts of the training data, which is not at hand"
    return table, "the training data"


def prove(run: Run, folder: Path, columns: Sequence[str], trial: Trial) -> Proof:
    """Returns what a written model showed in a process of its own.

    Raises:
        TfftError: When it does not answer as the run does, with what differs.
    """
    from tfft.serving import verification

    questions = verification.token_questions(trial.texts)
    tokens = len(questions)
    questions += asked(trial.tryout, columns)
    reply = verification.ask_outside(folder, questions)
    tokenizer = run.built.pretrained.tokenizer
    verification.check_tokens(tokenizer, trial.texts, reply.answers[:tokens])
    worst = check(run, trial.tryout, reply.answers[tokens:])
    rows = len(trial.tryout.rows)
    return Proof(len(trial.texts), rows, worst, trial.data, reply.text_operations)


def asked(tryout: Tryout, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Returns questions for a SavedModel, some rows at a time."""
    questions = []
    for start in range(0, len(tryout.rows), _AT_ONCE):
        part = tryout.rows[start : start + _AT_ONCE]
        given = dict(zip(columns, map(list, zip(*part, strict=True)), strict=True))
        options = {name: [value] * len(part) for name, value in tryout.options.items()}
        inputs = {**given, **options}
        questions.append({"signature": tryout.signature, "inputs": inputs})
    return questions


def check(run: Any, tryout: Tryout, replies: Sequence[Mapping[str, Any]]) -> float:
    """Returns the largest difference between the replies to `asked` and a run.

    Args:
        run: Has the task and the labels.
        tryout: What was asked, and what the run says.
        replies: Outputs of each question, lists by name.

    Raises:
        TfftError: With the row that differs most.
    """
    from tfft.serving.verification import check_answers

    found = [
        answer
        for outputs in replies
        for answer in run.task.read_served(
            {name: np.array(value) for name, value in outputs.items()}, run.labels
        )
    ]
    return check_answers(tryout.rows, found, tryout.expected, _TOLERANCE)
