"""Connects a client to an address."""

from __future__ import annotations

from typing import Any

from tfft.serving.client.base import Client, Patience
from tfft.serving.client.rest import RestClient


def connect(url: str, **options: Any) -> Client:
    """Returns a client of a model on TF Serving or `tfft serve`.

    This sends nothing yet. Requests can safely be repeated, so the client retries when
    the server is busy or cannot be reached.

    ```python
    with tfft.client.connect("http://localhost:8501/v1/models/reviews") as client:
        client.predict(["the best I have ever had"])
    ```

    Args:
        url: `http://HOST:PORT/v1/models/NAME`, or `grpc://HOST:PORT/NAME` (which
            needs the extra `serve`); either may end in `/versions/N` or
            `/labels/LABEL`.
        **options: The fields of `Patience`: `timeout`, `retries`, `backoff`.

    Raises:
        ConfigError: For an invalid address or option.
        MissingInputError: For gRPC when its packages are not installed.
    """
    patience = Patience(**options)
    if url.startswith("grpc://"):
        # Its messages are TensorFlow's, which takes seconds to import.
        from tfft.serving.client.rpc import GrpcClient

        return GrpcClient(url, patience)
    return RestClient(url, patience)
