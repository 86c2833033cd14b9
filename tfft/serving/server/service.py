"""Answers requests of both protocols: admits them, finds the model, calls it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tfft.serving.server.batching import Batcher
from tfft.serving.server.config import ServeConfig
from tfft.serving.server.loaded import LoadedModel
from tfft.serving.server.refusals import BusyError, InvalidRequestError, TooLateError
from tfft.serving.server.signatures import Arrays, Signature
from tfft.serving.server.versions import Versions

_Result = TypeVar("_Result")
# Switching to a thread costs as much as reading a few kilobytes.
_LARGE_BYTES = 2**16


@dataclass(frozen=True)
class Asked:
    """The model and signature that a request names.

    Attributes:
        name: The model's name.
        version: A version, or None for the newest.
        label: A label instead of a version.
        signature: A signature's name, empty for the default.
    """

    name: str
    version: int | None = None
    label: str | None = None
    signature: str = ""


@dataclass(frozen=True)
class Answered:
    """The outputs of a request and where they come from.

    Attributes:
        asked: The model that the request named.
        model: The version that answered.
        signature: The signature that was called.
        inputs: Its inputs.
        outputs: The outputs by name.
    """

    asked: Asked
    model: LoadedModel
    signature: Signature
    inputs: Arrays
    outputs: Arrays


class Service:
    """Answers requests of both protocols within the limits.

    Args:
        config: The settings.
        versions: The versions of the model.
        batcher: Calls the signatures.
    """

    def __init__(
        self, config: ServeConfig, versions: Versions, batcher: Batcher
    ) -> None:
        self.config, self.versions, self._batcher = config, versions, batcher
        self._requests = 0

    async def answer(
        self, asked: Asked, read: Callable[[Signature], Arrays], size: int
    ) -> Answered:
        """Returns the outputs for a request.

        Args:
            asked: The model and signature.
            read: Returns the inputs for that signature, and raises for invalid ones.
            size: Bytes of the request.

        Raises:
            RefusalError: When the request is refused.
        """
        with self.admitted(), self._found(asked) as model:
            signature = model.signature(asked.signature)
            async with self.in_time():
                inputs = await off_loop(size, read, signature)
                signature.check(inputs)
                self._check_rows(inputs)
                outputs = await self._batcher.run(signature, inputs)
        return Answered(asked, model, signature, inputs, outputs)

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """Counts a request while it is answered.

        Raises:
            BusyError: When there are too many requests.
        """
        if self._requests >= self.config.max_requests:
            raise BusyError(
                f"{self._requests} requests are waiting",
                expected=f"at most {self.config.max_requests}",
                fix="try again",
            )
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    @contextlib.asynccontextmanager
    async def in_time(self) -> Any:
        """Cancels the block after the timeout of a request.

        Raises:
            TooLateError: When the timeout has passed.
        """
        try:
            async with asyncio.timeout(self.config.timeout):
                yield
        except TimeoutError as error:
            raise TooLateError(
                f"no answer within {self.config.timeout:g} s",
                fix="send fewer or shorter rows, or serve with a longer --timeout",
            ) from error

    def _found(self, asked: Asked) -> contextlib.AbstractContextManager[LoadedModel]:
        return self.versions.find(asked.name, asked.version, asked.label).used()

    def _check_rows(self, inputs: Arrays) -> None:
        rows = max((np.shape(one) or (1,))[0] for one in inputs.values())
        if rows > self.config.max_rows:
            raise InvalidRequestError(
                f"{rows} rows in a request",
                expected=f"at most {self.config.max_rows}",
                fix="send several requests",
            )


async def off_loop(size: int, work: Callable[..., _Result], *given: Any) -> _Result:
    """Runs the work of a large request in a thread, and of a small one directly."""
    if size < _LARGE_BYTES:
        return work(*given)
    return await asyncio.to_thread(work, *given)
