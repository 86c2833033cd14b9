"""The client of gRPC, on TF Serving's generated stubs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfft.core.errors import ConfigError, DataError, shorten
from tfft.serving.client.base import (
    DEFAULT_SIGNATURE,
    Client,
    ModelAddress,
    Patience,
    ServerError,
    SignatureInfo,
    TensorInfo,
    as_columns,
    as_rows,
)
from tfft.serving.extra import serve_extra

with serve_extra():
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

_LONGEST_BACKOFF = "5s"


class GrpcClient(Client):
    """A model behind gRPC.

    Args:
        url: As `grpc://localhost:8500/NAME`, with `/versions/N` or `/labels/LABEL`
            after it for one version.
        patience: Timeout and retries.

    Raises:
        ConfigError: For any other address.
    """

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        found = re.fullmatch(r"grpc://([^/]+)/(.+)", url)
        if not found:
            raise ConfigError(
                f"address {shorten(url)}",
                expected="grpc://HOST:PORT/NAME",
                fix="copy the address that tfft serve prints",
            )
        self._server, self._address = found[1], ModelAddress.from_path(found[2])
        self._channel = grpc.insecure_channel(
            self._server,
            options=[
                ("grpc.service_config", _retry_policy(self._patience)),
                ("grpc.max_receive_message_length", -1),
            ],
        )
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._known: dict[str, SignatureInfo] = {}

    def _predict_rows(self, rows: list[Any], signature: str) -> list[Any]:
        names = list(self._info(signature).inputs)
        return as_rows(self.predict_columns(as_columns(rows, names), signature))

    def predict_columns(
        self, inputs: Mapping[str, Any], signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, np.ndarray]:
        """See `Client.predict_columns`."""
        infos = self._info(signature).inputs
        request = predict_pb2.PredictRequest()
        self._name(request.model_spec, signature)
        for name, value in inputs.items():
            dtype = infos[name].dtype if name in infos else None
            request.inputs[name].CopyFrom(_proto(name, value, dtype))
        response = self._call(self._prediction.Predict, request)
        return {
            name: _array(name, tf.make_ndarray(proto))
            for name, proto in response.outputs.items()
        }

    def versions(self) -> dict[int, str]:
        """See `Client.versions`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._address.model
        found = self._call(self._model.GetModelStatus, request)
        state = get_model_status_pb2.ModelVersionStatus.State
        return {
            one.version: state.Name(one.state) for one in found.model_version_status
        }

    def signatures(self) -> dict[str, SignatureInfo]:
        """See `Client.signatures`."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        self._name(request.model_spec, "")
        response = self._call(self._prediction.GetModelMetadata, request)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(definitions)
        return {
            name: SignatureInfo(_infos(one.inputs), _infos(one.outputs))
            for name, one in definitions.signature_def.items()
            if not name.startswith("__")
        }

    def close(self) -> None:
        """See `Client.close`."""
        self._channel.close()

    def _info(self, signature: str) -> SignatureInfo:
        if signature not in self._known:
            self._known[signature] = self.signature(signature)
        return self._known[signature]

    def _name(self, spec: Any, signature: str) -> None:
        spec.name, spec.signature_name = self._address.model, signature
        if self._address.version is not None:
            spec.version.value = self._address.version
        elif self._address.label is not None:
            spec.version_label = self._address.label

    def _call(self, method: Any, request: Any) -> Any:
        # gRPC's timeout covers all attempts together.
        seconds = self._patience.timeout * (1 + self._patience.retries)
        try:
            return method(request, timeout=seconds)
        except grpc.RpcError as error:
            status = error.code().name
            raise ServerError.with_status(
                status, f"{status}: {error.details()}", where=self._server
            ) from error


def _retry_policy(patience: Patience) -> str:
    if not patience.retries:
        return "{}"
    policy = {
        "maxAttempts": 1 + patience.retries,
        "initialBackoff": f"{patience.backoff}s",
        "maxBackoff": _LONGEST_BACKOFF,
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})


def _proto(name: str, value: Any, dtype: str | None) -> Any:
    try:
        return tf.make_tensor_proto(value, dtype)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"input {name!r} is {shorten(value)}", expected=f"values of type {dtype}"
        ) from error


def _array(name: str, array: np.ndarray) -> np.ndarray:
    """Returns texts as `str`, everything else as it is."""
    if array.dtype != object or name.endswith("_bytes"):
        return array
    texts = np.empty(array.size, object)
    texts[:] = [one.decode() for one in array.flat]
    return texts.reshape(array.shape)


def _infos(given: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {name: _info(one) for name, one in given.items()}


def _info(given: Any) -> TensorInfo:
    shape = tf.TensorShape(given.tensor_shape)
    sizes = None if shape.rank is None else tuple(shape)
    return TensorInfo(tf.as_dtype(given.dtype).name, sizes)
