"""The client of the REST API; imports no TensorFlow."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
import urllib3

from tfft.core.errors import ConfigError, shorten
from tfft.serving.client.base import (
    DEFAULT_SIGNATURE,
    Client,
    ModelAddress,
    Patience,
    ServerError,
    SignatureInfo,
    TensorInfo,
)

_PREFIX = "/v1/models/"
_BUSY = (502, 503)
_LONGEST_BACKOFF_SECONDS = 5.0
_CONNECTIONS = 64
_DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16"}


class RestClient(Client):
    """A model behind the REST API.

    Args:
        url: As `http://localhost:8501/v1/models/NAME`, with `/versions/N` or
            `/labels/LABEL` after it for one version.
        patience: Timeout and retries.

    Raises:
        ConfigError: For any other address.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        patience = patience or Patience()
        try:
            parts = urllib3.util.parse_url(url)
        except urllib3.exceptions.LocationParseError as error:
            raise _bad_address(url) from error
        path = parts.path or ""
        if parts.scheme not in ("http", "https") or not path.startswith(_PREFIX):
            raise _bad_address(url)
        address = ModelAddress.from_path(path.removeprefix(_PREFIX).partition(":")[0])
        self._server = f"{parts.scheme}://{parts.netloc}"
        self._model = f"{self._server}{_PREFIX}{quote(address.model)}"
        self._url = self._model
        if address.version is not None:
            self._url += f"/versions/{address.version}"
        elif address.label is not None:
            self._url += f"/labels/{address.label}"
        # Repeating a request changes nothing on the server, so POST is retried too.
        retry = urllib3.Retry(
            total=patience.retries,
            allowed_methods=None,
            status_forcelist=_BUSY,
            redirect=False,
            backoff_factor=patience.backoff,
            backoff_max=_LONGEST_BACKOFF_SECONDS,
            backoff_jitter=patience.backoff,
            raise_on_status=False,
        )
        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            retries=retry,
            timeout=urllib3.Timeout(total=patience.timeout),
        )

    def _predict_rows(self, rows: list[Any], signature: str) -> list[Any]:
        return self._ask({"signature_name": signature, "instances": rows})[
            "predictions"
        ]

    def predict_columns(
        self, inputs: Mapping[str, Any], signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, np.ndarray]:
        """See `Client.predict_columns`."""
        info = self._cached_signatures.get(signature)
        if info is None:
            info = self.signature(signature)
        found = self._ask({"signature_name": signature, "inputs": dict(inputs)})
        # The only output comes without its name.
        outputs = found["outputs"]
        if len(info.outputs) == 1:
            outputs = {next(iter(info.outputs)): outputs}
        return {
            name: _array(value, info.outputs[name].dtype)
            for name, value in outputs.items()
        }

    def versions(self) -> dict[int, str]:
        """See `Client.versions`."""
        found = self._request("GET", self._model)["model_version_status"]
        return {int(one["version"]): one["state"] for one in found}

    def signatures(self) -> dict[str, SignatureInfo]:
        """See `Client.signatures`."""
        found = self._request("GET", f"{self._url}/metadata")
        definitions = found["metadata"]["signature_def"]["signature_def"]
        return {
            name: SignatureInfo(_infos(one["inputs"]), _infos(one["outputs"]))
            for name, one in definitions.items()
            if not name.startswith("__")
        }

    def close(self) -> None:
        """See `Client.close`."""
        self._pool.clear()

    @functools.cached_property
    def _cached_signatures(self) -> dict[str, SignatureInfo]:
        return self.signatures()

    def _ask(self, content: dict[str, Any]) -> dict[str, Any]:
        # Invalid UTF-8 is escaped, and the server reports it.
        body = json.dumps(content, default=_plain).encode()
        return self._request("POST", f"{self._url}:predict", body)

    def _request(self, method: str, url: str, body: bytes | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        try:
            response = self._pool.request(method, url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise ServerError(
                f"no answer: {_reason(error)}",
                where=self._server,
                fix="start the server, or wait longer with timeout",
            ) from error
        try:
            found = json.loads(response.data)
        except ValueError:
            found = None
        if response.status != 200 or not isinstance(found, dict):
            said = found.get("error") if isinstance(found, dict) else None
            raise ServerError.with_status(
                str(response.status),
                f"{response.status}: {said or shorten(response.data[:200])}",
                where=url,
            )
        return found


def _infos(given: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {name: _info(one) for name, one in given.items()}


def _info(given: Mapping[str, Any]) -> TensorInfo:
    name = given["dtype"]
    dtype = _DTYPES.get(name, name.removeprefix("DT_").lower())
    shape = given["tensor_shape"]
    if shape.get("unknown_rank"):
        return TensorInfo(dtype, None)
    sizes = [int(one["size"]) for one in shape.get("dim", ())]
    return TensorInfo(dtype, tuple(None if size < 0 else size for size in sizes))


def _array(value: Any, dtype: str) -> np.ndarray:
    if dtype != "string":
        return np.array(value, dtype)
    return np.array(_decoded(value), object)


def _decoded(value: Any) -> Any:
    """Returns nested lists with base 64 decoded to bytes."""
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    """Converts values that JSON does not support."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if hasattr(value, "tolist"):  # arrays, and columns of data frames
        return value.tolist()
    raise TypeError(f"{shorten(value)} cannot be sent")


def _reason(error: Exception) -> str:
    """Returns the cause of urllib3's error about all attempts."""
    return str(getattr(error, "reason", None) or error)


def _bad_address(url: str) -> ConfigError:
    return ConfigError(
        f"address {shorten(url)}",
        expected=f"http://HOST:PORT{_PREFIX}NAME",
        fix="copy the address that tfft serve prints",
    )
