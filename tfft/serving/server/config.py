"""The settings of `tfft serve`; imports no TensorFlow."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path

from tfft.core.config import configuration, require

_MEBIBYTE = 2**20
_PORTS = range(2**16)


@configuration()
class ServeConfig:
    """The model folder to serve, its address, and the limits.

    Args:
        directory: Folder of one model, with its versions in numbered folders.
        name: The model's name in requests. Defaults to the folder's name.
        host: Address to listen on. Defaults to 127.0.0.1, only this machine.
        rest_port: Port of the REST API, 0 for a free one. Defaults to 8501.
        grpc_port: Port of gRPC, 0 for a free one. Defaults to 8500.
        keep_versions: Number of newest versions to serve. Defaults to 1.
        labels: Names for versions, such as stable=1,canary=2. Versions with a label are
            always served. Defaults to none.
        poll_seconds: Seconds between checks of the folder. Defaults to 1.
        max_batch_size: Maximum number of rows that run through the model together; 1
            turns batching off. Defaults to 32.
        batch_timeout_ms: How long a batch waits for more rows. Defaults to 0: requests
            only gather while the model is busy.
        threads: Number of batches that run at once. Defaults to 0: half of the cores,
            because TensorFlow itself computes in parallel.
        max_body_mb: Largest request in MiB. Defaults to 16.
        max_rows: Maximum number of rows of one request. Defaults to 1024.
        max_requests: Maximum number of requests at once; further ones are refused as
            busy. Defaults to 512.
        timeout: Seconds a request may take. Defaults to 30.
    """

    directory: Path
    name: str = ""
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    keep_versions: int = 1
    labels: Mapping[str, int] | None = None
    poll_seconds: float = 1.0
    max_batch_size: int = 32
    batch_timeout_ms: float = 0.0
    threads: int = 0
    max_body_mb: int = 16
    max_rows: int = 1024
    max_requests: int = 512
    timeout: float = 30.0

    def __post_init__(self) -> None:
        for field in ("rest_port", "grpc_port"):
            require(getattr(self, field) in _PORTS, self, field, "0 to 65535")
        for field in ("keep_versions", "max_batch_size", "max_rows", "max_requests"):
            require(getattr(self, field) >= 1, self, field, "1 or more")
        for field in ("poll_seconds", "timeout"):
            require(getattr(self, field) > 0, self, field, "more than 0")
        for field in ("batch_timeout_ms", "threads"):
            require(getattr(self, field) >= 0, self, field, "0 or more")
        # A protocol buffer holds at most 2 GiB.
        require(1 <= self.max_body_mb < 2048, self, "max_body_mb", "1 to 2047")
        require(not re.search("[/:]", self.model_name), self, "name", "no / and no :")
        valid = all(re.fullmatch(r"\w+", label, re.ASCII) for label in self.versions)
        require(valid, self, "labels", "letters, digits and _ before each =")

    @property
    def model_name(self) -> str:
        """The model's name in requests."""
        return self.name or self.directory.resolve().name

    @property
    def versions(self) -> dict[str, int]:
        """The version of each label."""
        return dict(self.labels or {})

    @property
    def max_body_bytes(self) -> int:
        """Largest request in bytes."""
        return self.max_body_mb * _MEBIBYTE

    @property
    def batches_at_once(self) -> int:
        """Number of batches that run at once."""
        return self.threads or max(1, (os.cpu_count() or 1) // 2)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
