"""Exports a model that takes ids, for runtimes without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.environment import versions
from tfft.core.errors import ConfigError, OutputInUseError, TfftError
from tfft.core.files import (
    is_occupied,
    new_directory,
    sha256,
    write_json,
    write_lines,
    write_text,
)
from tfft.data.batching import Batches
from tfft.runs.export.companion_files import Proof, plain
from tfft.runs.export.precision import Precision
from tfft.runs.export.questions import MOST_COMPARED, question_rows
from tfft.runs.predictor import Predictor, Provenance
from tfft.tasks.endpoint import Endpoint
from tfft.tasks.task import Task

# Other libraries sum in another order and compute exp differently.
_TOLERANCE = 1e-4
_SIGNATURE = "serving_tensors"


def export_tensors(
    predictor: Predictor,
    source: Provenance,
    directory: Path,
    data: Any,
    form: str,
    dtype: str,
    min_agreement: float,
) -> tuple[Path, Proof]:
    """Writes a model that maps ids to numbers, and its tokenizer; see `Run.export`."""
    from tfft.serving.formats import EXPORT_FORMATS, numbers_of

    chosen = EXPORT_FORMATS[form]
    precision = Precision(dtype, min_agreement, chosen.dtypes)
    _check_task(predictor.task, form)
    if is_occupied(directory):
        raise OutputInUseError(
            "the folder is not empty", where=str(directory), fix="choose another folder"
        )
    network, task = predictor.model, predictor.task
    # Requests hold ids, so this graph needs no tokenizer.
    every = task.served(predictor.labels).endpoints(network, None)
    endpoint = numbers_of(every[_SIGNATURE])
    columns = len(every["serving_default"].inputs)
    rows, _, said = question_rows(task, source, columns, data, MOST_COMPARED)
    questions = _questions(predictor, rows, list(network.input))
    with predictor.built.adapter.folded():
        expected = [_answer(endpoint, one) for one in questions]
        content = chosen.convert(endpoint, dtype)
    with new_directory(directory) as folder:
        path = folder / chosen.file
        path.write_bytes(content)
        difference, share = _prove(path, questions, expected, precision)
        proof = Proof(0, len(questions), difference, said, [], dtype, share)
        _write_beside(predictor, source, folder, proof, endpoint, form)
    return directory, proof


def _check_task(task: Task, form: str) -> None:
    if task.generates:
        raise ConfigError(
            f"{task.name} as {form}",
            where="export",
            expected="a task that answers without generating",
            fix="export a SavedModel, whose loop keeps keys and values",
        )


def _questions(
    predictor: Predictor, rows: Sequence[tuple[str, ...]], names: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """Returns the examples of rows, each as a batch of one without padding."""
    task, tokenizer = predictor.task, predictor.built.pretrained.tokenizer
    table = task.rows([row if len(row) > 1 else row[0] for row in rows])
    examples = task.encode(table, tokenizer, None).examples
    batches = Batches(examples, 1)
    found = []
    for index, length in list(enumerate(examples.lengths))[:MOST_COMPARED]:
        batch = batches.batch(np.array([index]))
        # An empty text may have no tokens at all; then one of padding is kept.
        found.append({name: batch[name][:, : max(length, 1)] for name in names})
    return found


def _answer(endpoint: Endpoint, question: Mapping[str, Any]) -> dict[str, np.ndarray]:
    import tensorflow as tf

    given = (tf.constant(question[name], tf.int32) for name in endpoint.inputs)
    return {name: value.numpy() for name, value in endpoint.compute(*given).items()}


def _prove(
    path: Path,
    questions: Sequence[Mapping[str, np.ndarray]],
    expected: Sequence[Mapping[str, np.ndarray]],
    precision: Precision,
) -> tuple[float, float]:
    """Returns the largest difference, and the share of examples decided the same.

    Raises:
        TfftError: When either is beyond what the precision allows.
    """
    from tfft.serving.verification import ask_script

    asked = [{name: ids.tolist() for name, ids in one.items()} for one in questions]
    answers = ask_script("outside_tensors.py", path, asked)
    pairs = [
        (np.array(found[name]), right)
        for found, one in zip(answers, expected, strict=True)
        for name, right in one.items()
    ]
    worst = max(_difference(*pair) for pair in pairs)
    outputs = len(expected[0])
    equal = [_same_decision(*pair) for pair in pairs]
    same = [all(equal[i : i + outputs]) for i in range(0, len(equal), outputs)]
    share = sum(same) / len(same)
    near = worst <= _TOLERANCE if precision.exact else np.isfinite(worst)
    least = 1.0 if precision.exact else precision.min_agreement
    if not near or share < least:
        limit = (
            f"at most {_TOLERANCE:.0e} and all" if precision.exact else f"{least:.1%}"
        )
        raise TfftError(
            f"the exported model differs from the run by {worst:.1e}, and decides "
            f"{share:.1%} of {len(same):,} examples the same",
            expected=limit,
            fix="nothing was written; export it in float32, or a SavedModel",
        )
    return worst, share


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference: absolute up to 1, relative above."""
    if found.shape != expected.shape:
        return np.inf
    if expected.dtype.kind != "f":
        return 0.0
    distance = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    return float(distance.max(initial=0.0)) if np.isfinite(distance).all() else np.inf


def _same_decision(found: np.ndarray, expected: np.ndarray) -> bool:
    """Returns whether integers are equal, or for scores the best of each row."""
    if expected.dtype.kind != "f":
        return bool((found == expected).all())
    if expected.ndim < 2:
        return True
    return bool((found.argmax(axis=-1) == expected.argmax(axis=-1)).all())


def _write_beside(
    predictor: Predictor,
    source: Provenance,
    folder: Path,
    proof: Proof,
    endpoint: Endpoint,
    form: str,
) -> None:
    task, labels = predictor.task, [str(label) for label in predictor.labels]
    predictor.built.pretrained.tokenizer.save(folder)
    write_lines(folder / "labels.txt", labels)
    lines = [
        f"# {plain(source.name)}",
        "",
        f"A {source.record['model']['architecture']} model for {task.name} ({form}).",
        f"Inputs: {', '.join(endpoint.inputs)}, int32 of shape (batch, length), from",
        f"tokenizer.json; the model reads at most {task.max_length} tokens at once.",
        "",
        f"Compared outside of tfft before publishing: {proof}.",
        "",
    ]
    write_text(folder / "README.md", "\n".join(lines))
    files = sorted(path for path in folder.iterdir() if path.is_file())
    write_json(
        folder / "tfft.json",
        {
            "task": task.name,
            "run": source.name,
            "labels": labels,
            "inputs": list(endpoint.inputs),
            "max_length": task.max_length,
            "format": form,
            "dtype": proof.dtype,
            "proof": proof.numbers(),
            "versions": versions(),
            "sha256": {path.name: sha256(path) for path in files},
        },
    )
