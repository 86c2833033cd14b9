"""What serving needs beyond tfft's own packages."""

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
    """Names the extra when one of its packages cannot be imported in the block.

    Raises:
        MissingInputError: For a package of the extra `serve`.
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
