"""Model status and metadata as TF Serving's messages, for both protocols."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from tfft.serving.server.refusals import NotServedError
from tfft.serving.server.service import Asked, Service

_Status = get_model_status_pb2.ModelVersionStatus


def status_of(service: Service, asked: Asked) -> Any:
    """Returns the `GetModelStatusResponse` of a model, the newest version first.

    Raises:
        NotServedError: For another model or an unknown version.
    """
    service.versions.check_name(asked.name)
    states = service.versions.states
    version = asked.version
    if asked.label is not None:
        version = service.versions.find(asked.name, None, asked.label).version
    if version is not None and version not in states:
        raise NotServedError(f"version {version} is not known", where=asked.name)
    response = get_model_status_pb2.GetModelStatusResponse()
    for number in sorted(states, reverse=True) if version is None else [version]:
        one = response.model_version_status.add(
            version=number, state=_Status.State.Value(states[number].name)
        )
        if states[number].error:
            one.status.error_code = error_codes_pb2.UNKNOWN
            one.status.error_message = states[number].error
    return response


def metadata_of(service: Service, asked: Asked) -> Any:
    """Returns the `GetModelMetadataResponse` of a version.

    Raises:
        NotServedError: For a version that is not served.
    """
    model = service.versions.find(asked.name, asked.version, asked.label)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = asked.name
    response.model_spec.version.value = model.version
    response.metadata["signature_def"].Pack(_signatures(model.signature_defs))
    return response


def metadata_json(response: Any) -> dict[str, Any]:
    """Returns metadata as the REST API shows it."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    return {
        "model_spec": {
            "name": response.model_spec.name,
            "signature_name": "",
            "version": str(response.model_spec.version.value),
        },
        "metadata": {"signature_def": to_json(signatures)},
    }


def to_json(message: Any) -> dict[str, Any]:
    """Returns a message as a dict, including fields with default values."""
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )


def status_json(response: Any) -> dict[str, Any]:
    """Returns a status as the REST API shows it."""
    found = to_json(response)
    for one in found["model_version_status"]:
        one.setdefault("status", {"error_code": "OK", "error_message": ""})
    return found


def _signatures(definitions: Any) -> Any:
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in definitions.items():
        found.signature_def[name].CopyFrom(definition)
    return found
