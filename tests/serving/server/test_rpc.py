"""gRPC, asked with TF Serving's own generated stubs."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def predict_request(signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "texts"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def example(**features):
    def feature(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    made = {name: feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=made))


def test_predict(stub):
    response = stub.Predict(predict_request(text=["ab", "é"]))
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"
    outputs = {name: tf.make_ndarray(one) for name, one in response.outputs.items()}
    assert outputs["length"].tolist() == [20, 10]
    assert outputs["length"].dtype == np.int32
    assert outputs["label"].tolist() == [b"long", b"long"]


def test_versions_labels_and_the_filter_of_outputs(stub):
    request = predict_request(text=["ab"])
    request.output_filter.append("length")
    request.model_spec.version.value = 1
    assert tf.make_ndarray(stub.Predict(request).outputs["length"]).tolist() == [2]
    request.model_spec.version_label = "stable"
    response = stub.Predict(request)
    assert response.model_spec.version.value == 1
    assert list(response.outputs) == ["length"]


def test_numbers(stub):
    point = np.array([[1, 2.5]], "float32")
    times, flip = np.array([2], "int64"), [True]
    request = predict_request("numbers", point=point, times=times, flip=flip)
    assert tf.make_ndarray(stub.Predict(request).outputs["sum"]).tolist() == [-7.0]


def test_no_rows(stub):
    request = predict_request(text=np.zeros([0], object))
    outputs = stub.Predict(request).outputs
    assert tf.make_ndarray(outputs["label"]).shape == (0,)


def test_classify_and_regress(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "texts", "classify"
    request.input.example_list.examples.extend([example(text="ab"), example(text="c")])
    rows = stub.Classify(request).result.classifications
    found = [[(one.label, one.score) for one in row.classes] for row in rows]
    assert found == [[("even", 1), ("odd", 0)], [("even", 0), ("odd", 1)]]

    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "texts", "regress"
    listed = request.input.example_list_with_context
    listed.context.CopyFrom(example(text="abc"))
    listed.examples.extend([tf.train.Example(), example(other="x")])
    values = [one.value for one in stub.Regress(request).result.regressions]
    assert values == [3.0, 3.0]


def test_several_inferences_of_the_same_examples(stub):
    request = inference_pb2.MultiInferenceRequest()
    request.input.example_list.examples.append(example(text="abc"))
    for kind in ("regress", "classify"):
        task = request.tasks.add(method_name=f"tensorflow/serving/{kind}")
        task.model_spec.name, task.model_spec.signature_name = "texts", kind
    first, second = stub.MultiInference(request).results
    assert first.regression_result.regressions[0].value == 3.0
    assert second.classification_result.classifications[0].classes[1].score == 1.0


def test_metadata(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        metadata_field=["signature_def"]
    )
    request.model_spec.name = "texts"
    response = stub.GetModelMetadata(request)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    text = found.signature_def["serving_default"].inputs["text"]
    assert text.dtype == tf.string.as_datatype_enum
    assert response.model_spec.version.value == 2


def test_status_and_reload(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "texts"
    found = stub.GetModelStatus(request).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(one.version, one.state) for one in found] == [
        (2, available),
        (1, available),
    ]
    with pytest.raises(grpc.RpcError, match="when it starts") as raised:
        stub.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest())
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
