"""Runs rows of several requests through the model together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfft.serving.server.config import ServeConfig
from tfft.serving.server.signatures import Arrays, Signature, rows_of


@dataclass(eq=False)
class _Waiting:
    """A request waiting for its outputs."""

    arrays: Arrays
    rows: int
    since: float
    outputs: asyncio.Future[Arrays]


@dataclass(eq=False)
class _Queue:
    """Waiting requests whose rows can be joined."""

    requests: deque[_Waiting] = field(default_factory=deque)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.requests)


class Batcher:
    """Calls signatures in threads, with several requests joined where possible.

    Requests gather while the model is busy, and `batch_timeout_ms` longer if that is
    set. A single request to an idle model runs at once. Call all methods from one event
    loop.

    Args:
        config: The settings.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._most_rows = config.max_batch_size
        self._patience = config.batch_timeout_ms / 1000
        self._threads = ThreadPoolExecutor(config.batches_at_once, "model")
        self._free = asyncio.Semaphore(config.batches_at_once)
        self._queues: dict[Hashable, _Queue] = {}
        self._tasks: set[asyncio.Task] = set()

    async def run(self, signature: Signature, arrays: Arrays) -> Arrays:
        """Returns the outputs of a signature for checked inputs."""
        loop = asyncio.get_running_loop()
        rows = rows_of(arrays)
        waiting = _Waiting(arrays, rows or 1, loop.time(), loop.create_future())
        if not signature.takes_rows or not rows or rows >= self._most_rows:
            self._start(self._run_alone(signature, waiting))
        else:
            self._join(signature, waiting)
        return await waiting.outputs

    def close(self) -> None:
        """Ends the threads once they have finished their work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _join(self, signature: Signature, waiting: _Waiting) -> None:
        shapes = tuple(array.shape[1:] for array in waiting.arrays.values())
        key = (signature, tuple(waiting.arrays), shapes)
        if key not in self._queues:
            self._queues[key] = _Queue()
            self._start(self._empty(key, signature))
        self._queues[key].requests.append(waiting)
        self._queues[key].grown.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        # The event loop itself holds only weak references to tasks.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _empty(self, key: Hashable, signature: Signature) -> None:
        """Runs a queue's requests batch by batch until it is empty."""
        queue = self._queues[key]
        while queue.requests:
            await self._gather(queue)
            await self._free.acquire()
            batch = self._take(queue)
            if batch:
                self._start(self._run_batch(signature, batch))
            else:
                self._free.release()
        del self._queues[key]

    async def _gather(self, queue: _Queue) -> None:
        """Waits until a batch is full or its first request has waited long enough."""
        loop = asyncio.get_running_loop()
        until = queue.requests[0].since + self._patience
        while queue.rows < self._most_rows and loop.time() < until:
            queue.grown.clear()
            try:
                async with asyncio.timeout_at(until):
                    await queue.grown.wait()
            except TimeoutError:
                return

    def _take(self, queue: _Queue) -> list[_Waiting]:
        """Takes as many requests as fit into a batch, without canceled ones."""
        batch: list[_Waiting] = []
        room = self._most_rows
        while queue.requests and queue.requests[0].rows <= room:
            one = queue.requests.popleft()
            if not one.outputs.done():
                batch.append(one)
                room -= one.rows
        return batch

    async def _run_alone(self, signature: Signature, one: _Waiting) -> None:
        await self._free.acquire()
        await self._run_batch(signature, [one])

    async def _run_batch(self, signature: Signature, batch: list[_Waiting]) -> None:
        """Runs requests in a thread and gives each its outputs."""
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(
                self._threads, _outputs, signature, [one.arrays for one in batch]
            )
        except RuntimeError as error:  # the threads have been closed
            results = [error] * len(batch)
        finally:
            self._free.release()
        for one, result in zip(batch, results, strict=True):
            if one.outputs.done():
                continue
            if isinstance(result, Exception):
                one.outputs.set_exception(result)
            else:
                one.outputs.set_result(result)


def _outputs(
    signature: Signature, requests: list[Arrays]
) -> list[Arrays] | list[Arrays | Exception]:
    """Returns the outputs of each request, or the error that it caused."""
    if len(requests) == 1:
        return [_attempt(signature, requests[0])]
    sizes = [rows_of(one) or 0 for one in requests]
    joined = {
        name: np.concatenate([one[name] for one in requests]) for name in requests[0]
    }
    found = _attempt(signature, joined)
    if isinstance(found, Exception):
        # One invalid request must not fail the others.
        return [_attempt(signature, one) for one in requests]
    if rows_of(found) != sum(sizes):
        # Its outputs are not rows, so never join requests to this signature again.
        signature.takes_rows = False
        return [_attempt(signature, one) for one in requests]
    ends = np.cumsum(sizes)[:-1]
    parts = {name: np.split(array, ends) for name, array in found.items()}
    return [
        {name: pieces[index] for name, pieces in parts.items()}
        for index in range(len(requests))
    ]


def _attempt(signature: Signature, arrays: Arrays) -> Arrays | Exception:
    try:
        return signature(arrays)
    except Exception as error:  # raised again where the request waits
        return error
