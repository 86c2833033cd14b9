"""The versions in a model's folder: finds, loads and unloads them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tfft.core.errors import MissingInputError, TfftError, shorten_path
from tfft.serving.server.config import ServeConfig
from tfft.serving.server.loaded import MODEL_FILE, LoadedModel
from tfft.serving.server.refusals import NotServedError

_DRAIN_POLL_SECONDS = 0.01
# TF Serving's version numbers have 64 bits.
_HIGHEST = 2**63 - 1


@dataclass(frozen=True)
class VersionState:
    """The state of a version.

    Attributes:
        name: TF Serving's name: LOADING, AVAILABLE, UNLOADING or END.
        error: The reason why it could not be loaded.
    """

    name: str
    error: str = ""


class Versions:
    """The versions of one model; call all methods from one event loop.

    Args:
        config: The settings.
        say: Called with a line about each change.
    """

    def __init__(self, config: ServeConfig, say: Callable[[str], None]) -> None:
        self._config, self._say = config, say
        self._loaded: dict[int, LoadedModel] = {}
        self._failed: dict[int, tuple[int, int]] = {}
        self._draining: set[asyncio.Task] = set()
        self.states: dict[int, VersionState] = {}

    async def watch(self) -> None:
        """Checks the folder every `poll_seconds`."""
        said = ""
        while True:
            await asyncio.sleep(self._config.poll_seconds)
            try:
                await self.refresh()
                said = ""
            except (TfftError, OSError) as error:
                # Loaded versions are still served. Reported once, not every second.
                if str(error) != said:
                    self._say(f"the folder cannot be read: {error}")
                said = str(error)

    async def refresh(self) -> None:
        """Loads the wanted versions and unloads the others."""
        found = find_versions(self._config.directory)
        labeled = set(self._config.versions.values()) & set(found)
        wanted = labeled | _newest(found, self._config.keep_versions)
        for version in sorted(wanted - set(self._loaded)):
            await self._load(version, found[version])
        usable = set(self._loaded) & set(found)
        kept = _newest(usable, self._config.keep_versions) | (labeled & usable)
        # If the folder is empty or the new version broken, the old one stays.
        for version in sorted(set(self._loaded) - kept) if kept else ():
            self._unload(version)

    def find(self, name: str, version: int | None, label: str | None) -> LoadedModel:
        """Returns the model that answers a request.

        Args:
            name: The model's name.
            version: Its version, or None for the newest.
            label: A label instead of the version.

        Raises:
            NotServedError: For a name, version or label that is not served.
        """
        self.check_name(name)
        if label is not None:
            version = self._config.versions.get(label)
            if version is None:
                raise NotServedError(
                    f"no version has the label {label[:80]!r}",
                    where=name,
                    expected=", ".join(self._config.versions) or "no label",
                )
        if version is None:
            version = max(self._loaded)
        if version not in self._loaded:
            raise NotServedError(
                f"version {version} is not served",
                where=name,
                expected=", ".join(map(str, sorted(self._loaded))),
            )
        return self._loaded[version]

    def check_name(self, name: str) -> None:
        """Checks the model's name.

        Raises:
            NotServedError: Naming the model that is served.
        """
        if name != self._config.model_name:
            raise NotServedError(
                f"no model is called {name[:80]!r}", expected=self._config.model_name
            )

    @property
    def served(self) -> list[int]:
        """The versions that can answer requests."""
        return sorted(self._loaded)

    def check_any(self) -> None:
        """Checks that the folder has a version to serve.

        Raises:
            TfftError: With the reason of the newest version's failure.
        """
        if self._loaded:
            return
        directory = shorten_path(self._config.directory)
        if self.states:
            raise TfftError(
                self.states[max(self.states)].error, where=directory, expected="a model"
            )
        raise MissingInputError(
            f"no version in {directory}",
            expected=f"folders with whole numbers for names, each with {MODEL_FILE}",
            fix="write one with tfft export RUN DIRECTORY",
        )

    async def _load(self, version: int, folder: Path) -> None:
        stamp = _stamp(folder)
        if self._failed.get(version) == stamp:
            return
        self.states[version] = VersionState("LOADING")
        try:
            model = await asyncio.to_thread(LoadedModel, folder, version)
        except Exception as error:  # a SavedModel is a program and may fail in any way
            self._failed[version] = stamp
            self.states[version] = VersionState("END", str(error))
            self._say(f"version {version} is not loaded: {error}")
            return
        self._failed.pop(version, None)
        self._loaded[version] = model
        self.states[version] = VersionState("AVAILABLE")
        self._say(f"version {version} is served")

    def _unload(self, version: int) -> None:
        """Sends a version no new requests, and unloads it after the last one."""
        model = self._loaded.pop(version)
        self.states[version] = VersionState("UNLOADING")
        task = asyncio.create_task(self._drain(version, model))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _drain(self, version: int, model: LoadedModel) -> None:
        while model.in_use:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        del model
        # Functions and their variables refer to each other.
        await asyncio.to_thread(gc.collect)
        if version not in self._loaded:
            self.states[version] = VersionState("END")
        self._say(f"version {version} is unloaded")


def find_versions(directory: Path) -> dict[int, Path]:
    """Returns the folders of versions with a model, by version number.

    Raises:
        MissingInputError: When the folder does not exist.
    """
    if not directory.is_dir():
        raise MissingInputError(
            f"folder {shorten_path(directory)} is not there",
            fix="name the folder above the numbered versions",
        )
    return {
        int(path.name): path
        for path in sorted(directory.iterdir())
        if path.name.isascii()
        and path.name.isdigit()
        and int(path.name) <= _HIGHEST
        and (path / MODEL_FILE).is_file()
    }


def _newest(versions: dict[int, Path] | set[int], count: int) -> set[int]:
    return set(sorted(versions)[-count:])


def _stamp(folder: Path) -> tuple[int, int]:
    """Returns a value that changes when a version is written again."""
    status = (folder / MODEL_FILE).stat()
    return status.st_mtime_ns, status.st_size
