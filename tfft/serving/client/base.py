"""The base class of both clients, and the types they share."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tfft.core.config import configuration, require
from tfft.core.errors import ConfigError, DataError, TfftError, shorten
from tfft.data.prediction_inputs import prediction_inputs
from tfft.data.table import Table

DEFAULT_SIGNATURE = "serving_default"


class ServerError(TfftError):
    """A server that cannot be reached, or that does not answer a request.

    Attributes:
        status: The HTTP status or the name of the gRPC status; empty if there was no
            answer.
    """

    exit_code = 69
    status = ""

    @classmethod
    def with_status(cls, status: str, what: str, **parts: str) -> ServerError:
        """Returns the error for a status."""
        error = cls(what, **parts)
        error.status = status
        return error


@configuration()
class Patience:
    """Timeout and retries of a client.

    Args:
        timeout: Seconds for one attempt. Defaults to 30.
        retries: Attempts after the first, if the server cannot be reached or is busy.
            At most 4, gRPC's own limit. Defaults to 3.
        backoff: Seconds before the first retry, doubled each time. Defaults to 0.2.
    """

    timeout: float = 30.0
    retries: int = 3
    backoff: float = 0.2

    def __post_init__(self) -> None:
        require(self.timeout > 0, self, "timeout", "more than 0")
        require(0 <= self.retries <= 4, self, "retries", "0 to 4")
        require(self.backoff > 0, self, "backoff", "more than 0")


@dataclass(frozen=True)
class ModelAddress:
    """The address of a model on a server.

    Attributes:
        model: The model's name.
        version: A version, or None.
        label: A label instead of a version, or None.
    """

    model: str
    version: int | None = None
    label: str | None = None

    @classmethod
    def from_path(cls, path: str) -> ModelAddress:
        """Reads `NAME`, `NAME/versions/3` or `NAME/labels/stable`.

        Raises:
            ConfigError: For any other path.

        >>> ModelAddress.from_path("reviews/versions/3")
        ModelAddress(model='reviews', version=3, label=None)
        """
        found = re.fullmatch(r"([^/:]+)(?:/versions/(\d{1,18})|/labels/(\w+))?", path)
        if not found:
            raise ConfigError(
                f"no model in {shorten(path)}",
                expected="NAME, NAME/versions/N or NAME/labels/LABEL",
                fix="copy the address that tfft serve prints",
            )
        model, version, label = found.groups()
        return cls(model, int(version) if version else None, label)


@dataclass(frozen=True)
class TensorInfo:
    """An input or an output of a signature.

    Attributes:
        dtype: NumPy's name of its type, or `string`.
        shape: Its shape, with None for a free size; None for any shape.
    """

    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class SignatureInfo:
    """The inputs and outputs of a signature.

    Attributes:
        inputs: Its inputs by name.
        outputs: Its outputs by name.
    """

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


class Client(ABC):
    """A model on a server, as returned by `connect`. Threads may share it.

    Use it in a `with` block, or call `close`.
    """

    def predict(self, rows: Any, signature: str = DEFAULT_SIGNATURE) -> list[Any]:
        """Returns an answer for each row.

        Args:
            rows: The values of the only input, or dicts with a value for each input; or
                anything that holds rows with a column for each input: a data frame, a
                dict of columns, a file.
            signature: The signature to call.

        Returns:
            For each row a dict of the outputs, or the output itself if there is only
            one.

        Raises:
            DataError: For unusable rows, such as a single text.
            ServerError: When the server does not answer.
        """
        given = prediction_inputs(rows, "rows")
        if isinstance(given, Table):
            names = list(self.signature(signature).inputs)
            columns = [given.column(name) for name in names]
            values = zip(*columns, strict=True)
            given = [dict(zip(names, row, strict=True)) for row in values]
        return self._predict_rows(given, signature)

    @abstractmethod
    def _predict_rows(self, rows: list[Any], signature: str) -> list[Any]:
        """Returns an answer for each row, given as values or as dicts."""

    @abstractmethod
    def predict_columns(
        self, inputs: Mapping[str, Any], signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, np.ndarray]:
        """Returns the outputs as arrays.

        Args:
            inputs: An array, or nested lists, for each input.
            signature: The signature to call.

        Returns:
            The outputs by name; texts as `str`, or as `bytes` if the name of the output
            ends in `_bytes`.

        Raises:
            ServerError: When the server does not answer.
        """

    @abstractmethod
    def versions(self) -> dict[int, str]:
        """Returns the state of each version that the server knows.

        Raises:
            ServerError: When the server does not answer.
        """

    @abstractmethod
    def signatures(self) -> dict[str, SignatureInfo]:
        """Returns the signatures of the model.

        Raises:
            ServerError: When the server does not answer.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def signature(self, name: str) -> SignatureInfo:
        """Returns the inputs and outputs of a signature.

        Raises:
            ConfigError: For a signature that the model does not have.
            ServerError: When the server does not answer.
        """
        found = self.signatures()
        if name not in found:
            raise ConfigError(
                f"unknown signature {name!r}", expected=", ".join(sorted(found))
            )
        return found[name]


def as_columns(rows: Sequence[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    """Returns the values of each input.

    Raises:
        DataError: For rows without names where there are several inputs, and for
            rows that differ.

    >>> as_columns(["a", "b"], ["text"])
    {'text': ['a', 'b']}
    """
    if not rows:
        raise DataError("no rows to predict", expected="one or more")
    if not isinstance(rows[0], Mapping):
        if len(names) != 1:
            raise DataError(
                f"row {shorten(rows[0])} names no input",
                expected=f"a dict with {', '.join(names)}",
            )
        return {names[0]: list(rows)}
    for row in rows:
        if not isinstance(row, Mapping) or row.keys() != rows[0].keys():
            raise DataError(
                f"row {shorten(row)} differs",
                expected=f"a dict with {', '.join(rows[0])}, as the first row is",
            )
    return {name: [row[name] for row in rows] for name in rows[0]}


def as_rows(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    """Returns the outputs row by row; a single output comes without its name.

    >>> as_rows({"a": np.array([1, 2]), "b": np.array([3, 4])})
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 4}]
    """
    if len(outputs) == 1:
        return next(iter(outputs.values())).tolist()
    lists = zip(*(array.tolist() for array in outputs.values()), strict=True)
    return [dict(zip(outputs, row, strict=True)) for row in lists]
