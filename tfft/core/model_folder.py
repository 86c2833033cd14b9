"""Files of a model folder; a link out of it is never followed."""

from __future__ import annotations

from pathlib import Path

from tfft.core.errors import DataError, shorten


def file_in(folder: Path, name: str) -> Path | None:
    """Returns a file of a model folder, None when it has none of that name.

    A link is followed when its end is in the folder too, or among the `blobs` of the
    same model in Hugging Face's cache, whose snapshots are folders of links.

    Args:
        folder: The model folder, which may itself be a link.
        name: The plain name of a file.

    Raises:
        DataError: For a name that is a path, or a link that leads elsewhere.
    """
    if Path(name).name != name or name in ("", "..") or "\0" in name:
        raise _outside(folder, name)
    path = folder / name
    try:
        if not path.is_file():
            return None
        end = path.resolve(strict=True)
    except (OSError, RuntimeError):  # too long a name, or links in a circle
        return None
    if end.parent not in _homes(folder.resolve()):
        raise _outside(folder, name)
    return path


def folder_in(folder: Path, name: str) -> Path | None:
    """Returns a folder inside a model folder, None when it has none of that name.

    Args:
        folder: The model folder, which may itself be a link.
        name: The plain name of a folder.

    Raises:
        DataError: For a name that is a path, or a link that leads elsewhere.
    """
    if Path(name).name != name or name in ("", "..") or "\0" in name:
        raise _outside(folder, name)
    path = folder / name
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
    """Returns where the files of a folder may lie."""
    # A model in the cache has folders of its own, such as 1_Pooling.
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
