"""SavedModels in TF Serving's layout: written, checked, then published."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

from tfft.core.errors import StorageError
from tfft.core.files import storage_errors
from tfft.tasks.endpoint import Endpoint

_PREFIX = ".tmp-export"


def next_version(directory: Path) -> int:
    """Returns one more than the highest version in a model's folder.

    Not a time stamp: TF Serving serves the highest number, and clocks may go back.
    """
    taken = [int(entry.name) for entry in _entries(directory) if entry.name.isdigit()]
    return max(taken, default=0) + 1


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def publish(
    endpoints: Mapping[str, Endpoint],
    directory: Path,
    *,
    finish: Callable[[Path], None],
) -> Path:
    """Writes a SavedModel, checks it, and only then makes it visible.

    TF Serving loads a folder with a number for a name as soon as it appears. So the
    files are written under another name, and renamed once they are complete.

    Args:
        endpoints: The signatures by name.
        directory: The model's folder, which gets the version folder.
        finish: Adds the other files to the folder, and raises when the model's
            answers are wrong.

    Returns:
        The version folder.

    Raises:
        StorageError: When the disk refuses.
    """
    with storage_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(directory)
    owner = f"{socket.gethostname()}-{os.getpid()}"
    temporary = directory / f"{_PREFIX}-{owner}-{uuid.uuid4().hex[:8]}"
    try:
        with storage_errors(directory):
            write(endpoints, temporary)
        finish(temporary)
        with storage_errors(directory):
            _sync(temporary)
            return _rename(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write(endpoints: Mapping[str, Endpoint], folder: Path) -> None:
    """Writes a SavedModel with only the variables that its endpoints read.

    Args:
        endpoints: The signatures by name.
        folder: The folder to write.

    Raises:
        StorageError: When the disk refuses.
    """
    _write(_archive(endpoints), folder)


def _archive(endpoints: Mapping[str, Endpoint]) -> Any:
    import keras
    import tensorflow as tf

    # The archive finds the variables of its endpoints itself. Tracking the Keras model
    # too would write each weight twice: as Keras' variable and as the TensorFlow
    # variable inside it.
    archive = keras.export.ExportArchive()
    for name, endpoint in endpoints.items():
        signature = [
            tf.TensorSpec(shape, dtype, given)
            for given, (shape, dtype) in endpoint.inputs.items()
        ]
        archive.add_endpoint(name, endpoint.answer, input_signature=signature)
    return archive


def _remove_leftovers(directory: Path) -> None:
    """Removes folders left by killed exports on this machine."""
    start = f"{_PREFIX}-{socket.gethostname()}-"
    for entry in _entries(directory):
        process = entry.name.removeprefix(start).split("-")[0]
        if entry.name.startswith(start) and process.isdigit():
            if not psutil.pid_exists(int(process)):
                shutil.rmtree(entry, ignore_errors=True)


def _rename(temporary: Path, directory: Path) -> Path:
    """Renames a folder to the next number, although other exports may take it first."""
    while True:
        version = directory / str(next_version(directory))
        try:
            os.rename(temporary, version)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return version


def _sync(folder: Path) -> None:
    """Flushes all files to the disk before their folder gets its number."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


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
