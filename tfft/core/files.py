"""Atomic writes, and folders that one process writes to at a time."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tfft.core.errors import OutputInUseError, StorageError

_LOCK = ".lock"
# The characters at which str.splitlines cuts, the tab, and the backslash itself.
_BREAKS = re.compile("[\\\\\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a temporary file in the same folder, then renames it to the path.

    After a crash or on a full disk the old file is unchanged.

    Args:
        path: The file to write.
        write: Writes the content to the temporary path it is called with.

    Raises:
        StorageError: When writing fails.
    """
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Some writers (safetensors) create files that only the owner can read. This
            # takes the mode of an ordinary file here, from umask and the folder's ACL.
            temporary.touch()
            mode = temporary.stat().st_mode
            write(temporary)
            temporary.chmod(mode)
            _sync(temporary)
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    write_atomically(path, lambda target: target.write_text(text, encoding="utf-8"))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes each text as one line, atomically; see `one_line`."""
    write_text(path, "".join(f"{one_line(line)}\n" for line in lines))


def one_line(text: str) -> str:
    r"""Returns the text on exactly one line.

    Line breaks, tabs and backslashes are escaped as in Python and JSON.

    >>> print(one_line("a\nb"), one_line("größe 5%"))
    a\nb größe 5%
    """
    return _BREAKS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON with a final newline, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yields a temporary folder that becomes `path` when the block succeeds.

    Only then is a folder that existed at `path` replaced; an error leaves it as it was.
    """
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        with storage_errors(path):
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _sync(file)
            _swap(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, path: Path) -> None:
    """Replaces a folder by another; a rename alone needs an empty target."""
    old = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns an OSError into an error that names the path and the free space."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(_existing(path)).free / 1e6
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise StorageError(
            f"cannot write: {error.strerror or error}",
            where=str(path),
            fix=f"free some space ({free:,.0f} MB are free)"
            if full
            else "check that the folder exists and is writable",
        ) from error


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not os.path.exists(path):  # Path.exists raises for a name too long
        path = path.parent
    return path


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks a folder for this process while the block runs.

    The kernel holds the lock, so a killed process leaves none behind.

    Raises:
        OutputInUseError: When another process holds the lock; the error names it.
    """
    import filelock

    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    owner = folder / f"{_LOCK}-owner"
    lock = filelock.FileLock(folder / _LOCK, timeout=0)
    with storage_errors(folder):
        try:
            lock.acquire()
        except filelock.Timeout as error:
            holder = owner.read_text().strip() if owner.exists() else "unknown"
            raise OutputInUseError(
                f"another process is writing to this folder ({holder})",
                where=str(folder),
                fix="wait for it, or choose another output_dir",
            ) from error
    try:
        with storage_errors(folder):
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        # Not after the release: by then the file may be the next process's lock.
        (folder / _LOCK).unlink(missing_ok=True)
        lock.release()


def is_occupied(folder: Path) -> bool:
    """Returns whether a folder has files other than a lock or a crash's leftovers."""
    if not folder.is_dir():
        return folder.exists()
    return any(
        not entry.name.startswith((_LOCK, ".tmp-")) for entry in folder.iterdir()
    )
