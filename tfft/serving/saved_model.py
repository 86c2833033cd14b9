"""SavedModels in TF Serving's layout: written, checked, then published."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfft.core.errors import StorageError
from tfft.core.files import storage_errors, write_json

Answer = Callable[..., Mapping[str, Any]]


def next_version(directory: Path) -> int:
    """Returns one more than the highest version in a model's folder.

    Never a time stamp: TF Serving serves the highest number, and clocks go back.
    """
    taken = [int(entry.name) for entry in _entries(directory) if entry.name.isdigit()]
    return max(taken, default=0) + 1


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def publish(
    model: Any,
    answer: Answer,
    columns: Sequence[str],
    directory: Path,
    *,
    details: Mapping[str, Any],
    check: Callable[[Path], None],
) -> Path:
    """Writes a SavedModel and makes it visible only when it has been checked.

    TF Serving takes any folder with a number for a name the second it appears, so
    the files are written under a name that is none, and renamed when whole.

    Args:
        model: The Keras model, whose variables the SavedModel keeps.
        answer: Maps string tensors of shape (batch,) to named outputs.
        columns: Names of the inputs.
        directory: The model's folder; the version folder is made in it.
        details: What `assets.extra/tfft.json` says.
        check: Raises when the written folder does not answer as it should.

    Returns:
        The version folder.

    Raises:
        StorageError: When the disk refuses.
    """
    import keras
    import tensorflow as tf

    with storage_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".tmp-{uuid.uuid4().hex[:8]}"
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        answer,
        input_signature=[tf.TensorSpec([None], tf.string, name) for name in columns],
    )
    try:
        with storage_errors(directory):
            _write(archive, temporary)
            write_json(temporary / "assets.extra" / "tfft.json", dict(details))
        check(temporary)
        version = directory / str(next_version(directory))
        with storage_errors(version):
            os.rename(temporary, version)
        return version
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(archive: Any, folder: Path) -> None:
    import tensorflow as tf

    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:
        free = shutil.disk_usage(folder.parent).free / 1e6
        raise StorageError(
            f"cannot write the SavedModel: {error.message}",
            where=str(folder.parent),
            fix=f"free some space ({free:,.0f} MB are free)",
        ) from error
