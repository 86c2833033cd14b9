"""A client for an address."""

from __future__ import annotations

from typing import Any

from tfft.serving.client.base import Client, Patience
from tfft.serving.client.rest import RestClient


def connect(url: str, **options: Any) -> Client:
    """Returns a client of a model on TF Serving or `tfft serve`.

    Nothing is sent yet. Asking again is safe, so what the server was too busy for, or
    could not be reached for, is tried again.

    ```python
    with tfft.client.connect("http://localhost:8501/v1/models/reviews") as client:
        client.predict(["the best I have ever had"])
    ```

    Args:
        url: `http://HOST:PORT/v1/models/NAME`, or `grpc://HOST:PORT/NAME` (which
            needs the extra `serve`); either may end in `/versions/N` or
            `/labels/LABEL`.
        **options: Those of `Patience`: `timeout`, `retries`, `backoff`.

    Raises:
        ConfigError: For an address or an option that cannot be meant.
        MissingInputError: For gRPC without its packages.
    """
    patience = Patience(**options)
    if url.startswith("grpc://"):
        # Its messages are TensorFlow's, which takes seconds to import.
        from tfft.serving.client.rpc import GrpcClient

        return GrpcClient(url, patience)
    return RestClient(url, patience)
