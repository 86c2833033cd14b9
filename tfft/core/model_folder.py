"""Files of a model folder; links that lead out of it are errors."""

from __future__ import annotations

from pathlib import Path

from tfft.core.errors import DataError, shorten


def file_in(folder: Path, name: str) -> Path | None:
    """Returns a file of a model folder, or None when the file does not exist.

    A link is followed when it leads to the same folder, or to the `blobs` of the same
    model in Hugging Face's cache, whose snapshots are folders of links.

    Args:
        folder: The model folder, which may itself be a link.
        name: A file name without folders.

    Raises:
        DataError: For a path instead of a name, or a link that leads elsewhere.
    """
    path = _named(folder, name)
    try:
        if not path.is_file():
            return None
        end = path.resolve(strict=True)
    except (OSError, RuntimeError):  # the name is too long, or links form a circle
        return None
    if end.parent not in _homes(folder.resolve()):
        raise _outside(folder, name)
    return path


def folder_in(folder: Path, name: str) -> Path | None:
    """Returns a folder inside a model folder, or None when it does not exist.

    Args:
        folder: The model folder, which may itself be a link.
        name: A folder name without a path.

    Raises:
        DataError: For a path instead of a name, or a link that leads elsewhere.
    """
    path = _named(folder, name)
    try:
        if not path.is_dir():
            return None
        inside = path.resolve(strict=True).parent == folder.resolve()
    except (OSError, RuntimeError):
        return None
    if not inside:
        raise _outside(folder, name)
    return path


def _homes(folder: Path) -> list[Path]:
    """Returns the folders that a link of a model folder may lead to."""
    # A model in the cache can have subfolders, such as 1_Pooling.
    for snapshots in (folder.parent, folder.parent.parent):
        if snapshots.name == "snapshots":
            return [folder, snapshots.parent / "blobs"]
    return [folder]


def _outside(folder: Path, name: str) -> DataError:
    return DataError(
        f"the file {shorten(name)} lies outside the model folder",
        where=str(folder),
        expected="a file in the same folder",
        fix="copy it there, or download the model again",
    )


def _named(folder: Path, name: str) -> Path:
    """Returns a path inside a folder.

    Raises:
        DataError: For a path instead of a name.
    """
    if Path(name).name != name or name in ("", "..") or "\0" in name:
        raise _outside(folder, name)
    return folder / name
