"""Loads a run from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfft.core.environment import check_environment
from tfft.core.errors import DataError, MissingInputError
from tfft.methods.method import METHODS
from tfft.models.pretrained import load_pretrained
from tfft.runs.build import build
from tfft.runs.folder import BASE, HEAD, RECORD, read_record, recorded_task
from tfft.runs.predictor import Predictor
from tfft.runs.run import Run
from tfft.runs.stored_model import load_weights, with_own_generation, with_own_tokenizer


def load(folder: str | Path, model: Any = None) -> Run:
    """Loads a run.

    Args:
        folder: The `output_dir` of a training.
        model: The base model's new place, if it has moved.

    Raises:
        MissingInputError: When the run, its weights or its base model are missing.
        DataError: When the base model is not the one the run was trained from.
    """
    check_environment()
    folder = Path(folder)
    record = read_record(folder)
    base = record["model"]
    stored = folder / BASE
    source = model or base["source"] or stored
    if not (folder / HEAD).is_file():
        raise MissingInputError(
            "the run has no weights yet", where=str(folder), fix="resume the training"
        )
    if Path(source).is_absolute() and not Path(source).exists():
        raise MissingInputError(
            f"no base model at {source}",
            where=str(folder / RECORD),
            expected="the folder that the run was trained from",
            fix="say where it is now with model= (--model on the command line)",
        )
    # Keras' attention computes in another order when it was built without dropout,
    # which changes the last bits.
    pretrained = load_pretrained(source, dropout=record["config"]["backbone_dropout"])
    if base["fingerprint"] and pretrained.fingerprint != base["fingerprint"]:
        raise DataError(
            "this is not the base model that the run was trained from",
            where=str(source),
            expected=f"weights with SHA-256 {base['fingerprint'][:12]}…",
            fix="give the right folder with model=",
        )
    task = recorded_task(record)
    pretrained = with_own_tokenizer(folder, pretrained)
    pretrained = with_own_generation(folder, pretrained, task)
    method = METHODS.resolve(record["method"])
    labels = tuple(record["labels"])
    built = build(task, method, pretrained, labels, record["config"]["seed"])
    load_weights(folder, built.network, built.adapter)
    return Run(folder, Predictor(built, task, labels))
