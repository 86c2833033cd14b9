"""TF Serving's gRPC services, on its own generated stubs."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tfft.serving.server import examples, status, tensors
from tfft.serving.server.refusals import InvalidRequestError, RefusalError
from tfft.serving.server.service import Answered, Asked, Service, off_loop
from tfft.serving.server.signatures import Arrays

_LOG = logging.getLogger("tfft.serving")


def make_rpc_server(service: Service) -> grpc.aio.Server:
    """Returns the gRPC server, which has no port yet.

    Args:
        service: Answers the requests.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", service.config.max_body_bytes),
            ("grpc.max_send_message_length", -1),
            # Otherwise two servers could share a port unnoticed.
            ("grpc.so_reuseport", 0),
        ]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _PredictionService(service), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        _ModelService(service), server
    )
    return server


def _report_errors(method: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """Turns a refusal into its gRPC status."""

    @functools.wraps(method)
    async def reported(
        self: Any, request: Any, context: grpc.aio.ServicerContext
    ) -> Any:
        try:
            return await method(self, request, context)
        except RefusalError as error:
            await context.abort(grpc.StatusCode[error.code], str(error))
        except Exception as error:
            if isinstance(error, grpc.aio.AbortError):
                raise
            _LOG.exception("a bug in answering %s", method.__name__)
            said = f"bug: {type(error).__name__}: {error}"
            await context.abort(grpc.StatusCode.INTERNAL, said)

    return reported


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, service: Service) -> None:
        self._service = service

    @_report_errors
    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = await self._service.answer(
            asked_of(request.model_spec),
            lambda signature: tensors.arrays_of(request.inputs, signature),
            request.ByteSize(),
        )
        chosen = _filtered(found.outputs, request.output_filter)
        size = sum(array.nbytes for array in chosen.values())
        return await off_loop(size, _predict_response, found, chosen)

    @_report_errors
    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = classification_pb2.ClassificationResponse()
        found = await self._by_examples(request.model_spec, request.input)
        _fill_spec(response.model_spec, found)
        _fill_classes(response.result, found)
        return response

    @_report_errors
    async def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = regression_pb2.RegressionResponse()
        found = await self._by_examples(request.model_spec, request.input)
        _fill_spec(response.model_spec, found)
        _fill_values(response.result, found)
        return response

    @_report_errors
    async def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = inference_pb2.MultiInferenceResponse()
        for task in request.tasks:
            kind = _INFERENCES.get(task.method_name)
            if kind is None:
                raise InvalidRequestError(
                    f"method_name {task.method_name!r:.80}",
                    expected=" or ".join(_INFERENCES),
                )
            field, fill = kind
            found = await self._by_examples(task.model_spec, request.input)
            result = response.results.add()
            _fill_spec(result.model_spec, found)
            fill(getattr(result, field), found)
        return response

    @_report_errors
    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        if list(request.metadata_field) != ["signature_def"]:
            raise InvalidRequestError(
                f"metadata_field {list(request.metadata_field)!r:.80}",
                expected="signature_def",
            )
        return status.metadata_of(self._service, asked_of(request.model_spec))

    async def _by_examples(self, spec: Any, given: Any) -> Answered:
        size = given.ByteSize()
        serialized = await off_loop(size, examples.examples_of_proto, given)
        return await self._service.answer(
            asked_of(spec),
            lambda signature: examples.arrays_of(serialized, signature),
            size,
        )


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, service: Service) -> None:
        self._service = service

    @_report_errors
    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        return status.status_of(self._service, asked_of(request.model_spec))

    async def HandleReloadConfigRequest(  # noqa: N802
        self, request: Any, context: Any
    ) -> None:
        """Refuses the request, because the folder is the configuration."""
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            "tfft serve takes its configuration when it starts · fix: add a version "
            "folder, or start it again",
        )


def asked_of(spec: Any) -> Asked:
    """Returns the model that a `ModelSpec` names."""
    choice = spec.WhichOneof("version_choice")
    return Asked(
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
        spec.signature_name,
    )


def _filtered(outputs: Arrays, names: Any) -> Arrays:
    unknown = [name for name in names if name not in outputs]
    if unknown:
        raise InvalidRequestError(
            f"unknown output {unknown[0][:80]!r}", expected=", ".join(outputs)
        )
    return {name: outputs[name] for name in names} if names else outputs


def _predict_response(found: Answered, outputs: Arrays) -> Any:
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, found)
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(tensors.proto_of(array))
    return response


def _fill_spec(spec: Any, found: Answered) -> None:
    spec.name = found.asked.name
    spec.version.value = found.model.version
    spec.signature_name = found.signature.name


def _fill_classes(result: Any, found: Answered) -> None:
    for row in examples.classes_of(found.outputs, len(found.inputs["inputs"])):
        classes = result.classifications.add()
        for label, score in row:
            classes.classes.add(label=label, score=score)


def _fill_values(result: Any, found: Answered) -> None:
    for value in examples.values_of(found.outputs, len(found.inputs["inputs"])):
        result.regressions.add(value=value)


_INFERENCES = {
    "tensorflow/serving/classify": ("classification_result", _fill_classes),
    "tensorflow/serving/regress": ("regression_result", _fill_values),
}
