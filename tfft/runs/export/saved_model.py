"""Exports a model as a SavedModel: merge, compare outside of tfft, publish."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from tfft.core.errors import ConfigError, nearest, one_of
from tfft.core.files import storage_errors
from tfft.runs.export.companion_files import Proof, write_beside, write_server_files
from tfft.runs.export.id_models import export_tensors
from tfft.runs.export.precision import Precision
from tfft.runs.export.questions import (
    MOST_COMPARED,
    MOST_ROWS,
    Questions,
    make_questions,
)
from tfft.runs.predictor import Predictor, Provenance
from tfft.tasks.endpoint import Tryout

if TYPE_CHECKING:
    from tfft.serving.verification import Agreement

_SAVED_MODEL = "saved_model"
_FORMATS = (_SAVED_MODEL, "litert", "onnx")
# Padding and batches differ from the run's, and so does the order of float32 sums.
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
    """Writes a model in a format and prints what that costs; see `Run.export`."""
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
        is_lossy = not precision.exact
    else:
        written, proof = export_tensors(
            predictor, source, directory, data, form, dtype, min_agreement
        )
        is_lossy = True
    if is_lossy:
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
    served_task = task.served(predictor.labels)
    endpoints = served_task.endpoints(built.network, tokenizer)
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
    """Refuses an ensemble in another dtype: it has no single backbone to convert.

    Raises:
        ConfigError: When the network answers for several runs.
    """
    if not (precision.exact or hasattr(predictor.model, "backbone")):
        raise ConfigError(
            f"dtype={precision.dtype!r} for an ensemble",
            where="export",
            expected="one run, or a soup",
            fix="export the ensemble in float32",
        )


def _kept(
    predictor: Predictor, endpoints: Mapping[str, Any], precision: Precision
) -> Any:
    """Returns a context manager that gives the endpoints in a precision."""
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
    """Compares a written model with a predictor, in a process without tfft.

    Args:
        predictor: Has the tokenizer, the task and the labels.
        folder: The version folder.
        columns: The inputs of `serving_default`.
        questions: The inputs, and the run's answers to them.
        precision: The type of the export's matrices. Defaults to float32.

    Raises:
        TfftError: When tokens or answers differ; it says where.
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
    """Returns the requests for a SavedModel, 16 rows in each."""
    questions = []
    for start in range(0, len(tryout.rows), _AT_ONCE):
        part = tryout.rows[start : start + _AT_ONCE]
        given = dict(zip(columns, map(list, zip(*part, strict=True)), strict=True))
        options = {name: [value] * len(part) for name, value in tryout.options.items()}
        inputs = {**given, **options}
        questions.append({"signature": tryout.signature, "inputs": inputs})
    return questions


def check(
    model: Any,
    tryout: Tryout,
    replies: Sequence[Mapping[str, Any]],
    precision: Precision | None = None,
) -> Agreement:
    """Compares the replies to the requests of `asked` with the right answers.

    Args:
        model: Has the task and the labels.
        tryout: The rows, and the right answers.
        replies: The outputs of each request, lists by name.
        precision: The type of the export's matrices. Defaults to float32.

    Raises:
        TfftError: Names the row that differs most; with a smaller type, when too few
            rows have the right answer.
    """
    from tfft.serving.verification import Agreement, check_agreement, check_answers

    found = [
        answer
        for outputs in replies
        for answer in model.task.served(model.labels).read(
            {name: np.array(value) for name, value in outputs.items()}
        )
    ]
    if precision is not None and not precision.exact:
        return check_agreement(found, tryout.expected, precision.min_agreement)
    return Agreement(check_answers(tryout.rows, found, tryout.expected, _TOLERANCE))
