"""Reads the two files of a PEFT adapter, without trusting them."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import regex

from tfft.core.errors import DataError, MissingInputError, one_of, shorten
from tfft.core.model_config import read_config
from tfft.models.weights import read_tensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ROOT = "base_model.model."
# A downloaded pattern must not block the process. A match takes microseconds; all
# matches that take longer share a tenth of a second.
_SLOW, _SECONDS = 1e-3, 0.1
_LONGEST_PATTERN = 2000


@dataclass(frozen=True)
class Folder:
    """The content of an adapter folder.

    Attributes:
        config: The content of `adapter_config.json`.
        tensors: Arrays by name, without `base_model.model.`.
        path: The folder.
        expressions: The compiled patterns of the config.
        slow: The seconds of each match that took unusually long.
    """

    config: Mapping[str, Any]
    tensors: Mapping[str, np.ndarray]
    path: Path
    expressions: dict[str, Any] = field(default_factory=dict)
    slow: list[float] = field(default_factory=list)

    def error(self, what: str, *, file: str = CONFIG, **parts: str) -> DataError:
        """Returns an error about one of its files."""
        return DataError(what, where=str(self.path / file), **parts)

    def strings(self, key: str) -> tuple[str, ...]:
        """Returns a list of names from the config, empty if the field is missing.

        Raises:
            DataError: When the field is not a list of names.
        """
        value = self.config.get(key) or ()
        if not isinstance(value, list | tuple) or not all(
            isinstance(item, str) for item in value
        ):
            raise self.error(
                f"{key}={shorten(value)}",
                expected="a list of names",
                fix="save the adapter again with PEFT",
            )
        return tuple(value)

    def number(self, key: str, default: Any, low: float, high: float) -> Any:
        """Returns a number from the config.

        Raises:
            DataError: When the value is not a number or out of range.
        """
        return self.checked_number(key, self.config.get(key, default), low, high)

    def checked_number(self, key: str, value: Any, low: float, high: float) -> Any:
        """Returns a value after checking that it is a number in a range.

        Raises:
            DataError: When it is not.
        """
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise self.error(
                f"{key}={shorten(value)}",
                expected=f"a number from {low:g} to {high:g}",
                fix="save the adapter again with PEFT",
            )
        return value

    def flag(self, key: str) -> bool:
        """Returns a boolean from the config, False if the field is missing.

        Raises:
            DataError: When the value is not a boolean.
        """
        value = self.config.get(key) or False
        if not isinstance(value, bool):
            raise self.error(f"{key}={shorten(value)}", expected="true or false")
        return value

    def refuse_unless_default(
        self, defaults: Mapping[str, Sequence[Any]], unmergeable: Collection[str] = ()
    ) -> None:
        """Refuses fields that would change the computation.

        Args:
            defaults: The harmless values of each field.
            unmergeable: The fields whose adapters PEFT cannot merge either.

        Raises:
            DataError: Names the first such field.
        """
        for key, harmless in defaults.items():
            value = self.config.get(key)
            if value is not None and value not in harmless:
                raise self.error(
                    f"{key}={shorten(value)} is not implemented",
                    expected=f"{key}={shorten(harmless[0])}",
                    fix="keep using this adapter with PEFT, which cannot merge it"
                    if key in unmergeable
                    else "merge the adapter with PEFT and load the merged model",
                )

    def patterns(self, key: str) -> str | tuple[str, ...] | None:
        """Returns a regular expression or a list of names; None if the field is absent.

        Raises:
            DataError: When the field is neither.
        """
        value = self.config.get(key)
        return value if value is None or isinstance(value, str) else self.strings(key)

    def match(
        self, key: str, pattern: str, shape: str, name: str, *, whole: bool = False
    ) -> Any:
        """Matches a module's name from its start, as `re.match` does.

        Args:
            key: The field of the pattern, for messages.
            pattern: The pattern, for messages.
            shape: The regular expression that PEFT makes of it.
            name: The module's name.
            whole: Whether the whole name must match.

        Raises:
            DataError: For a broken expression, or one that takes too long to match.
        """
        left = _SECONDS - sum(self.slow)
        started = time.monotonic()
        try:
            if len(pattern) > _LONGEST_PATTERN or left <= 0:
                raise TimeoutError
            compiled = self._compiled(shape)
            started = time.monotonic()
            matcher = compiled.fullmatch if whole else compiled.match
            return matcher(name, timeout=left)
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            raise self._broken(key, pattern, f"is invalid: {error}") from error
        except TimeoutError as error:
            raise self._broken(key, pattern, "takes too long to match") from error
        finally:
            if (took := time.monotonic() - started) > _SLOW:
                self.slow.append(took)

    def _compiled(self, shape: str) -> Any:
        """Returns a compiled expression, after checking it with `re`, which PEFT uses.

        `regex` does the matching, because it has a timeout.
        """
        if shape not in self.expressions:
            re.compile(shape)
            self.expressions[shape] = regex.compile(shape)
        return self.expressions[shape]

    def _broken(self, key: str, pattern: str, what: str) -> DataError:
        return self.error(
            f"{key}: pattern {shorten(pattern)} {what}",
            expected="a regular expression for the names of modules",
            fix="list the modules by name",
        )


def read_folder(path: Path) -> Folder:
    """Returns the content of an adapter folder.

    Raises:
        MissingInputError: When a file is missing, or is a pickle instead.
        DataError: When a file is unusable.
    """
    for name in (CONFIG, WEIGHTS):
        file = path / name
        if file.is_symlink() and not file.resolve().is_relative_to(path.resolve()):
            raise DataError(
                f"{name} leads to {file.resolve()}",
                where=str(path),
                expected="files inside the folder",
                fix="copy the adapter's own files",
            )
        if not file.is_file():
            pickled = path / "adapter_model.bin"
            is_pickle = name == WEIGHTS and pickled.exists()
            raise MissingInputError(
                f"adapter folder without {name}",
                where=str(path),
                fix=f"{pickled.name} is a pickle, which tfft never opens: load it with "
                "PEFT and save it with safe_serialization=True"
                if is_pickle
                else "give the folder that save_pretrained or tfft wrote",
            )
    tensors = read_tensors(path / WEIGHTS)
    config = read_config(path, CONFIG)
    folder = Folder(config, {_plain(n): v for n, v in tensors.items()}, path)
    for name, value in folder.tensors.items():
        if value.dtype.kind not in "fV" or not np.isfinite(value.astype("f4")).all():
            raise folder.error(
                f"{name} holds values that are not finite",
                file=WEIGHTS,
                fix="train it again",
            )
    return folder


def _plain(name: str) -> str:
    return name.removeprefix(ROOT)


# PEFT's methods that put learned vectors before the text, with tfft's closest method.
_PROMPTS = {
    "PROMPT_TUNING": "prompt",
    "MULTITASK_PROMPT_TUNING": "prompt",
    "P_TUNING": "prompt",
    "PREFIX_TUNING": "prefix",
    "CARTRIDGE": "prefix",
}


def unknown_type(folder: Folder, known: Sequence[str]) -> DataError:
    """Returns the error for an adapter type that tfft does not read.

    Learned vectors before the text cannot be merged, because they change no weights.
    PEFT shifts the positions of the text behind them; tfft's methods do not.
    """
    kind = folder.config.get("peft_type")
    ours = _PROMPTS.get(kind) if isinstance(kind, str) else None
    return folder.error(
        f"peft_type={shorten(kind)}"
        + (", which cannot be merged into the weights" if ours else ""),
        expected=one_of(known),
        fix=f'train again with method="{ours}" (the text keeps its positions), or '
        "keep using this adapter with PEFT"
        if ours
        else "merge the adapter with PEFT and load the merged model",
    )
