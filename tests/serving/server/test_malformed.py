"""Malformed requests: each a 4xx or a gRPC status with a message; the server lives."""

from __future__ import annotations

import gzip
import json
import socket

import grpc
import numpy as np
import pytest
import tensorflow as tf
import urllib3
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfft.serving.server import tensors
from tfft.serving.server.refusals import InvalidRequestError

HTTP = urllib3.PoolManager(retries=False)
PREDICT = ":predict"


def numbers(**changes):
    row = {"point": [1, 2], "times": 1, "flip": False, **changes}
    return {"signature_name": "numbers", "instances": [row]}


def rows(*given, **more):
    return {"instances": list(given), **more}


CLASSIFY = {"signature_name": "classify"}
# What is wrong, the rest of the path, the body, the status, part of the message.
REST = [
    ("empty body", PREDICT, b"", 400, "no JSON"),
    ("broken JSON", PREDICT, b'{"instances": ["a"', 400, "no JSON"),
    ("text after JSON", PREDICT, b'{"instances": ["a"]} x', 400, "no JSON"),
    ("invalid UTF-8", PREDICT, b'{"instances": ["\xff\xfe"]}', 400, "UTF-8"),
    ("UTF-16 without half", PREDICT, b'\x00{"\x00a', 400, "no JSON"),
    ("lone surrogate", PREDICT, b'{"instances": ["\\ud800"]}', 400, "surrogates"),
    ("deep nesting", PREDICT, b'{"a":' * 50_000, 400, "too deeply"),
    ("deep lists", PREDICT, b'{"instances":' + b"[" * 100_000, 400, "too deeply"),
    ("deep input", PREDICT, rows(json.loads("[" * 500 + "]" * 500)), 400, "is a list"),
    ("a list", PREDICT, [1], 400, "a list"),
    ("a number", PREDICT, 1, 400, "a whole number"),
    ("null", PREDICT, None, 400, "null"),
    ("no inputs", PREDICT, {}, 400, "neither"),
    ("both", PREDICT, rows("a", inputs=["a"]), 400, "both"),
    ("instances a text", PREDICT, {"instances": "a"}, 400, "a list"),
    ("no instances", PREDICT, rows(), 400, "a list"),
    ("number for text", PREDICT, rows(1), 400, "a whole number"),
    ("null for text", PREDICT, rows(None), 400, "null"),
    ("object for text", PREDICT, rows({"text": {"a": 1}}), 400, "an object"),
    ("bad base 64", PREDICT, rows({"b64": "*"}), 400, "base 64"),
    ("ragged", PREDICT, rows("a", ["b"]), 400, "a list"),
    ("wrong rank", PREDICT, rows(["a", "b"]), 400, "shape (1, 2)"),
    ("unknown input", PREDICT, rows({"txt": "a"}), 400, "'text' is missing"),
    ("one too many", PREDICT, rows({"text": "a", "b": 1}), 400, "unknown input 'b'"),
    ("rows that differ", PREDICT, rows({"text": "a"}, {"x": "a"}), 400, "instance 1"),
    ("missing input", PREDICT,
     {"signature_name": "numbers", "instances": [{"times": 1}]}, 400, "is missing"),
    ("no name", PREDICT, {"signature_name": "numbers", "instances": [1]}, 400, "flip"),
    ("text for number", PREDICT, numbers(times="1"), 400, "'1' is a text"),
    ("part for whole", PREDICT, numbers(times=1.5), 400, "1.5 is a number"),
    ("number for flag", PREDICT, numbers(flip=1), 400, "1 is a whole number"),
    ("flag for number", PREDICT, numbers(times=True), 400, "a boolean"),
    ("65 bits", PREDICT, numbers(times=2**64), 400, "int64"),
    ("wrong shape", PREDICT, numbers(point=[1, 2, 3]), 400, "(any, 2)"),
    ("ragged numbers", PREDICT, numbers(point=[[1, 2], [3]]), 400, "ragged"),
    ("many digits", PREDICT, b'{"instances": [' + b"9" * 9999 + b"]}", 400, "digits"),
    ("too many rows", PREDICT, rows(*["a"] * 2000), 400, "2000 rows"),
    ("unknown signature", PREDICT, rows("a", signature_name="serve"), 400, "'serve'"),
    ("signature a number", PREDICT, rows("a", signature_name=1), 400, "a text"),
    ("unequal columns", PREDICT, {"signature_name": "numbers", "inputs": {
        "point": [[1, 2]], "times": [1, 2], "flip": [True, True, True]}}, 400, "fails"),
    ("huge body", PREDICT, b'{"a": "' + b"a" * 2**21 + b'"}', 413, "too large"),
    ("unknown version", "/versions/9" + PREDICT, rows("a"), 404, "version 9"),
    ("endless version", f"/versions/{'9' * 5000}{PREDICT}", rows("a"), 400, "digits"),
    ("version a word", "/versions/one" + PREDICT, rows("a"), 400, "no such path"),
    ("unknown label", "/labels/canary" + PREDICT, rows("a"), 404, "'canary'"),
    ("unknown verb", ":explain", rows("a"), 400, "no such path"),
    ("other model", "s" + PREDICT, rows("a"), 404, "'textss'"),
    ("POST to status", "", rows("a"), 405, "expected GET"),
    ("classify text", ":classify", {"examples": [{"text": "a"}]}, 400, "'inputs'"),
    ("no examples", ":classify", CLASSIFY, 400, "examples"),
    ("empty examples", ":classify",
     {**CLASSIFY, "examples": []}, 400, "no examples"),
    ("example of a list", ":classify",
     {**CLASSIFY, "examples": [["a"]]}, 400, "example 0"),
    ("object feature", ":classify",
     {**CLASSIFY, "examples": [{"text": {"a": 1}}]}, 400, "example 0"),
    ("mixed feature", ":classify",
     {**CLASSIFY, "examples": [{"text": [1, "a"]}]}, 400, "example 0"),
    ("not its feature", ":classify",
     {**CLASSIFY, "examples": [{"txt": "a"}]}, 400, "text"),
    ("in context too", ":classify",
     {**CLASSIFY, "examples": [{"text": "a"}], "context": {"text": "b"}}, 400,
     "context"),
    ("regress by classes", ":regress",
     {**CLASSIFY, "examples": [{"text": "a"}]}, 400, "outputs"),
]  # fmt: skip


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(autouse=True)
def alive(server):
    """The server answers after each of them."""
    yield
    body = json.dumps(rows("ab")).encode()
    found = HTTP.request("POST", f"{server.rest_url}:predict", body=body)
    assert found.json() == {"predictions": [{"label": "long", "length": 20}]}


@pytest.mark.parametrize(
    ("path", "content", "status", "said"),
    [row[1:] for row in REST],
    ids=[row[0] for row in REST],
)
def test_rest(server, path, content, status, said):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = HTTP.request("POST", f"{server.rest_url}{path}", body=body)
    assert (response.status, list(response.json())) == (status, ["error"])
    assert said in response.json()["error"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods(server, method):
    response = HTTP.request(method, f"{server.rest_url}:predict")
    assert response.status == 405
    assert "expected POST" in response.json()["error"]


def test_a_small_body_that_unpacks_to_a_huge_one(server):
    body = gzip.compress(b'{"instances": ["' + b"a" * 2**26 + b'"]}')
    assert len(body) < 2**20
    headers = {"Content-Encoding": "gzip"}
    response = HTTP.request(
        "POST", f"{server.rest_url}:predict", body=body, headers=headers
    )
    assert response.status == 413
    assert "too large" in response.json()["error"]


@pytest.mark.parametrize(
    "sent", [b"\x00\x01\x02\r\n\r\n", b"GET /\xff HTTP/9.9\r\n\r\n", b"POST\r\n\r\n"]
)
def test_what_is_no_http(server, sent):
    host, port = server.rest_address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        assert connection.recv(4096).split(b" ")[1] == b"400"


def request_of(signature="", spec=(), **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "texts", signature
    for name, value in spec:
        setattr(request.model_spec, name, value)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def with_tensor(**fields):
    """Returns a request whose input `text` has these fields set by hand."""
    request = request_of()
    proto = request.inputs["text"]
    proto.dtype = fields.pop("dtype", tf.string.as_datatype_enum)
    for size in fields.pop("shape", [1]):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = fields.pop("unknown_rank", False)
    proto.string_val.extend(fields.pop("values", [b"a"]))
    proto.tensor_content = fields.pop("content", b"")
    return request


def of_version(number):
    request = request_of(text=["a"])
    request.model_spec.version.value = number
    return request


def filtered():
    request = request_of(text=["a"])
    request.output_filter.append("lenght")
    return request


BAD, LARGE = "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"
FLOAT = tf.float32.as_datatype_enum
RPC = [
    ("wrong type", request_of(text=[1.0]), BAD, "float32"),
    ("wrong shape", request_of(text=[["a"]]), BAD, "(1, 1)"),
    ("scalar", request_of(text="a"), BAD, "shape ()"),
    ("missing input", request_of(), BAD, "'text' is missing"),
    ("unknown input", request_of(text=["a"], x=[1]), BAD, "input 'x'"),
    ("unknown signature", request_of("serve", text=["a"]), BAD, "'serve'"),
    ("no name", request_of(spec=[("name", "")], text=["a"]), "NOT_FOUND", "''"),
    ("other model", request_of(spec=[("name", "x")], text=["a"]), "NOT_FOUND", "'x'"),
    ("unknown version", of_version(9), "NOT_FOUND", "version 9"),
    ("negative version", of_version(-1), "NOT_FOUND", "version -1"),
    ("unknown label", request_of(spec=[("version_label", "x")], text=["a"]),
     "NOT_FOUND", "'x'"),
    ("unknown output", filtered(), BAD, "'lenght'"),
    ("no type", with_tensor(dtype=0), BAD, "no tensor"),
    ("type 99", with_tensor(dtype=99), BAD, "no tensor"),
    ("unknown rank", with_tensor(unknown_rank=True), BAD, "whole sizes"),
    ("negative size", with_tensor(shape=[-1]), BAD, "whole sizes"),
    ("too many values", with_tensor(values=[b"a"] * 3), BAD, "no tensor"),
    ("too few values", with_tensor(shape=[3], values=[b"a", b"b"]), BAD, "3 values"),
    ("one value for all", with_tensor(shape=[2]), BAD, "1 values for shape [2]"),
    ("no value", with_tensor(values=[]), BAD, "0 values for shape [1]"),
    ("scalar without a value", with_tensor(shape=[], values=[]), BAD, "0 values"),
    ("content cut short",
     with_tensor(dtype=FLOAT, values=[], shape=[2], content=b"abc"), BAD, "no tensor"),
    ("2^40 elements", with_tensor(shape=[2**20, 2**20]), LARGE, "elements"),
    ("too many rows", request_of(text=["a"] * 2000), BAD, "2000 rows"),
    ("huge", request_of(text=["a" * 2**21]), LARGE, "larger than max"),
    ("model says no", request_of("fails", text=["bad"]), BAD, "no"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "code", "said"), [row[1:] for row in RPC], ids=[row[0] for row in RPC]
)
def test_rpc(stub, request_, code, said):
    with pytest.raises(grpc.RpcError) as raised:
        stub.Predict(request_, timeout=10)
    assert raised.value.code().name == code
    assert said in raised.value.details()


def test_rpc_bytes_that_are_no_message(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError) as raised:
            call(b"\xff\xff\xff", timeout=10)
    assert raised.value.code().name == "UNKNOWN"
    assert "Error parsing message" in raised.value.details()


def test_rpc_classify_without_examples(stub):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "texts", "classify"
    with pytest.raises(grpc.RpcError, match="no examples") as raised:
        stub.Classify(request, timeout=10)
    assert raised.value.code().name == "INVALID_ARGUMENT"


def test_rpc_shapes_of_many_dimensions(stub):
    proto = tf.make_tensor_proto(np.zeros([1] * 30, "float32"))
    request = request_of()
    request.inputs["text"].CopyFrom(proto)
    with pytest.raises(grpc.RpcError) as raised:
        stub.Predict(request, timeout=10)
    assert raised.value.code().name == "INVALID_ARGUMENT"


FIELDS = {"float32": "float_val", "float16": "half_val", "int8": "int_val",
          "bool": "bool_val", "complex64": "scomplex_val"}  # fmt: skip


@pytest.mark.parametrize("dtype", FIELDS)
def test_a_tensor_of_as_many_values_is_taken_whatever_its_type(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    # The values as they lie there, and one by one.
    packed = tf.make_tensor_proto(array)
    proto = tf.make_tensor_proto(array)
    proto.ClearField("tensor_content")
    proto.ClearField(FIELDS[dtype])
    raw = {"float16": "uint16", "complex64": "float32"}.get(dtype, dtype)
    getattr(proto, FIELDS[dtype]).extend(array.ravel().view(raw).tolist())
    for one in (packed, proto):
        assert tensors._array("x", one).tolist() == array.tolist()
    del getattr(proto, FIELDS[dtype])[-1:]
    with pytest.raises(InvalidRequestError, match="expected 6 values"):
        tensors._array("x", proto)
