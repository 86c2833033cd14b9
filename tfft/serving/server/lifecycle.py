"""Starts, runs and stops the server."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
from collections.abc import Callable

from aiohttp import web

from tfft.core.errors import ConfigError
from tfft.serving.server.batching import Batcher
from tfft.serving.server.config import ServeConfig
from tfft.serving.server.rest import make_app
from tfft.serving.server.rpc import make_rpc_server
from tfft.serving.server.service import Service
from tfft.serving.server.versions import Versions

# Container orchestrators kill a process after 30 seconds.
_GRACE_SECONDS = 20.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server:
    """Serves one model by both protocols; call all methods from one event loop.

    Args:
        config: The settings.
        say: Called with a line about each change.
    """

    def __init__(
        self, config: ServeConfig, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self.config, self._say = config, say
        self.versions = Versions(config, say)
        self._batcher = Batcher(config)
        service = Service(config, self.versions, self._batcher)
        self._rest = web.AppRunner(
            make_app(service), access_log=None, shutdown_timeout=_GRACE_SECONDS
        )
        self._rpc = make_rpc_server(service)
        self._watch: asyncio.Task | None = None
        self.rest_address = self.grpc_address = ""

    async def start(self) -> None:
        """Loads the model and opens the ports.

        Raises:
            TfftError: When no version can be served.
            ConfigError: For a port or an address that is not usable.
        """
        await self.versions.refresh()
        self.versions.check_any()
        try:
            await self._open()
        except BaseException:
            await self.stop()
            raise
        self._watch = asyncio.create_task(self.versions.watch())

    async def stop(self) -> None:
        """Refuses new requests, finishes the current ones, then closes."""
        if self._watch:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await asyncio.gather(self._rpc.stop(_GRACE_SECONDS), self._rest.cleanup())
        self._batcher.close()

    async def _open(self) -> None:
        config = self.config
        await self._rest.setup()
        try:
            await web.TCPSite(self._rest, config.host, config.rest_port).start()
        except OSError as error:
            raise _no_port("rest_port", config, error) from error
        self.rest_address = _address(config.host, self._rest.addresses[0][1])
        wanted = _address(config.host, config.grpc_port)
        try:
            port = self._rpc.add_insecure_port(wanted)
        except RuntimeError as error:
            raise _no_port("grpc_port", config, error) from error
        await self._rpc.start()
        self.grpc_address = _address(config.host, port)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _no_port(option: str, config: ServeConfig, error: Exception) -> ConfigError:
    taken = getattr(error, "errno", errno.EADDRINUSE) == errno.EADDRINUSE
    port = getattr(config, option)
    return ConfigError(
        f"port {port} of {config.host} " + ("is taken" if taken else f"fails: {error}"),
        where=option,
        fix=f"use --{option} 0 for a free one",
    )


async def _serve(config: ServeConfig, say: Callable[[str], None]) -> None:
    server = Server(config, say)
    await server.start()
    name = config.model_name
    say(f"REST  http://{server.rest_address}/v1/models/{name}:predict")
    say(f"gRPC  grpc://{server.grpc_address}/{name}")
    if not config.is_local:
        say("open to other machines, without encryption or passwords")
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    for number in _SIGNALS:
        # A second signal stops the process at once.
        loop.remove_signal_handler(number)
    say("stopping: current requests are answered first")
    await server.stop()


def serve(config: ServeConfig, say: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        config: The settings.
        say: Called with a line about each change.
    """
    asyncio.run(_serve(config, say))
