"""Exporting a run: merged, asked outside of tfft, then published."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from tfft.core.errors import ConfigError, nearest, one_of
from tfft.core.files import storage_errors
from tfft.runs.export.files import Proof, write_beside, write_server_files
from tfft.runs.export.precision import Precision
from tfft.runs.export.questions import (
    MOST_COMPARED,
    MOST_ROWS,
    Questions,
    make_questions,
)
from tfft.runs.export.tensors import export_tensors
from tfft.runs.predictor import Predictor, Provenance
from tfft.tasks.served.endpoint import Tryout

if TYPE_CHECKING:
    from tfft.serving.verification import Agreement

_SAVED_MODEL = "saved_model"
_FORMATS = (_SAVED_MODEL, "litert", "onnx")
# Where padding and batches differ, and with them the order of float32 sums.
_TOLERANCE = 1e-5
_AT_ONCE = 16


def export_as(
    predictor: Predictor,
    source: Provenance,
    directory: Path,
    data: Any,
    form: str,
    dtype: str,
    min_agreement: float,
) -> Path:
    """Writes a run in a format, and prints what that costs; see `Run.export`."""
    if form not in _FORMATS:
        raise ConfigError(
            f"format={form!r}",
            where="export",
            expected=one_of(_FORMATS),
            fix=nearest(form, _FORMATS) or "choose one of them",
        )
    if form == _SAVED_MODEL:
        precision = Precision(dtype, min_agreement)
        written, proof = export_model(predictor, source, directory, data, precision)
        told = not precision.exact
    else:
        written, proof = export_tensors(
            predictor, source, directory, data, form, dtype, min_agreement
        )
        told = True
    if told:
        Console(highlight=False).print(str(proof), markup=False, soft_wrap=True)
    return written


def export_model(
    predictor: Predictor,
    source: Provenance,
    directory: Path,
    data: Any = None,
    precision: Precision | None = None,
) -> tuple[Path, Proof]:
    """Writes a SavedModel that answers from raw text; see `Run.export`."""
    from tfft.serving.saved_model import publish
    from tfft.serving.text_to_ids import TextToIds

    built, task, precision = predictor.built, predictor.task, precision or Precision()
    _check_network(predictor, precision)
    tokenizer = TextToIds(built.pretrained.tokenizer, task.max_length, task.tail_tokens)
    endpoints = task.endpoints(built.network, tokenizer, predictor.labels)
    columns = list(endpoints["serving_default"].inputs)
    rows = MOST_ROWS if precision.exact else MOST_COMPARED
    questions = make_questions(predictor, source, columns, data, rows)
    endpoints["tokenize"] = tokenizer.endpoint()
    proofs: list[Proof] = []

    def finish(folder: Path) -> None:
        proofs.append(prove(predictor, folder, columns, questions, precision))
        with storage_errors(folder):
            write_beside(predictor, source, folder, proofs[0], endpoints)

    with built.adapter.folded(), _kept(predictor, endpoints, precision) as served:
        version = publish(served, directory, finish=finish)
    with storage_errors(directory):
        write_server_files(directory)
    return version, proofs[0]


def _check_network(predictor: Predictor, precision: Precision) -> None:
    """Raises for several runs that answer as one: they have no backbone of one form."""
    if not (precision.exact or hasattr(predictor.model, "backbone")):
        raise ConfigError(
            f"dtype={precision.dtype!r} for several runs that answer as one",
            where="export",
            expected="one run, or a soup",
            fix="export them in float32",
        )


def _kept(
    predictor: Predictor, endpoints: Mapping[str, Any], precision: Precision
) -> Any:
    """Returns a context with the endpoints as they compute in a precision."""
    if precision.exact:
        return contextlib.nullcontext(endpoints)
    from tfft.serving.fewer_bits import in_fewer_bits

    return in_fewer_bits(endpoints, predictor.model.backbone, precision.dtype)


def prove(
    predictor: Predictor,
    folder: Path,
    columns: Sequence[str],
    questions: Questions,
    precision: Precision | None = None,
) -> Proof:
    """Returns what a written model showed in a process of its own.

    Raises:
        TfftError: When it does not answer as the run does, with what differs.
    """
    from tfft.serving import verification

    about_tokens = verification.token_questions(questions.texts)
    about_rows = asked(questions.tryout, columns)
    reply = verification.ask_outside(folder, [*about_tokens, *about_rows])
    tokens = len(about_tokens)
    tokenizer = predictor.built.pretrained.tokenizer
    verification.check_tokens(tokenizer, questions.texts, reply.answers[:tokens])
    precision = precision or Precision()
    found = check(predictor, questions.tryout, reply.answers[tokens:], precision)
    return Proof(
        len(questions.texts),
        len(questions.tryout.rows),
        found.difference,
        questions.data,
        reply.text_operations,
        precision.dtype,
        found.share,
    )


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


def check(
    run: Any,
    tryout: Tryout,
    replies: Sequence[Mapping[str, Any]],
    precision: Precision | None = None,
) -> Agreement:
    """Returns how near the replies to `asked` come to a run.

    Args:
        run: Has the task and the labels.
        tryout: What was asked, and what the run says.
        replies: Outputs of each question, lists by name.
        precision: Of the numbers that were asked. Defaults to float32.

    Raises:
        TfftError: With the row that differs most; in fewer bits, for too many rows
            with other words.
    """
    from tfft.serving.verification import Agreement, check_agreement, check_answers

    found = [
        answer
        for outputs in replies
        for answer in run.task.read_served(
            {name: np.array(value) for name, value in outputs.items()}, run.labels
        )
    ]
    if precision is not None and not precision.exact:
        return check_agreement(found, tryout.expected, precision.min_agreement)
    return Agreement(check_answers(tryout.rows, found, tryout.expected, _TOLERANCE))
