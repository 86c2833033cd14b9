"""Files that are there whole or not at all, and folders with one writer."""

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
# Where str.splitlines cuts, the tab between columns, and the escape itself.
_BREAKS = re.compile("[\\\\\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file beside its place, then renames it onto its place.

    A crash or a full disk leaves the old file as it was.

    Args:
        path: Where the file is to be.
        write: Writes the content to the path it is given.

    Raises:
        StorageError: When the disk refuses.
    """
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # The mode of an ordinary file here, by umask and by the folder's ACL: some
            # writers (safetensors) make files that the owner alone may read.
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
    """Writes one line for each text, atomically; see `one_line`."""
    write_text(path, "".join(f"{one_line(line)}\n" for line in lines))


def one_line(text: str) -> str:
    r"""Returns text that takes exactly one line, whatever it holds.

    Line breaks, tabs and backslashes are written as Python and JSON escape them.

    >>> print(one_line("a\nb"), one_line("größe 5%"))
    a\nb größe 5%
    """
    return _BREAKS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically, readable and with a final newline."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yields a temporary folder that becomes `path` when the block ends well.

    What stood at `path` is replaced only then; after an error it still stands.
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
    """Puts a folder in the place of another; rename alone needs an empty one."""
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
    """Turns a failure of the disk into an error that names path and free space."""
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
            else "check that the folder exists and may be written to",
        ) from error


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not os.path.exists(path):  # Path.exists raises for a name too long
        path = path.parent
    return path


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder for one writer.

    The lock is the kernel's, so one left by a killed process holds nobody up.

    Raises:
        OutputInUseError: When another process writes there; names it.
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
                f"another process writes to this folder ({holder})",
                where=str(folder),
                fix="wait for it, or choose another output_dir",
            ) from error
    try:
        with storage_errors(folder):
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        # Before the release: after it, the file may be the lock of the next writer.
        (folder / _LOCK).unlink(missing_ok=True)
        lock.release()


def is_occupied(folder: Path) -> bool:
    """Tells whether a folder holds anything but a lock and leftovers of a crash."""
    if not folder.is_dir():
        return folder.exists()
    return any(
        not entry.name.startswith((_LOCK, ".tmp-")) for entry in folder.iterdir()
    )
