"""Errors for missing packages of the extra `serve`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tfft.core.errors import MissingInputError

_PACKAGES = {
    "aiohttp": "aiohttp",
    "grpc": "grpcio",
    "tensorflow_serving": "tensorflow-serving-api",
}


@contextlib.contextmanager
def serve_extra() -> Iterator[None]:
    """Tells which extra to install when an import inside the block fails.

    Raises:
        MissingInputError: When a package of the extra `serve` is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = _PACKAGES.get((error.name or "").partition(".")[0])
        if package is None:
            raise
        raise MissingInputError(
            f"package {package} is not installed",
            fix='install the extra: pip install "tfft[serve]"',
        ) from error
