"""The REST API against the forms in TF Serving's own documentation."""

from __future__ import annotations

import base64
import json

import pytest
import urllib3

HTTP = urllib3.PoolManager(retries=False)


def get(url):
    response = HTTP.request("GET", url)
    return response.status, response.json()


def post(url, content):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = HTTP.request("POST", url, body=body)
    assert response.headers["Content-Type"].startswith("application/json")
    return response.status, response.json()


def test_rows_of_the_only_input(server):
    found = post(f"{server.rest_url}:predict", {"instances": ["ab", "abcd", "é"]})
    assert found == (
        200,
        {
            "predictions": [
                {"label": "long", "length": 20},
                {"label": "long", "length": 40},
                {"label": "long", "length": 10},
            ]
        },
    )


def test_rows_by_name_and_columns(server):
    rows = {"instances": [{"text": "ab"}, {"text": "c"}]}
    columns = {"inputs": {"text": ["ab", "c"]}}
    url = f"{server.rest_url}:predict"
    assert post(url, rows)[1]["predictions"][1] == {"label": "long", "length": 10}
    outputs = {"label": ["long", "long"], "length": [20, 10]}
    assert post(url, columns) == (200, {"outputs": outputs})
    assert post(url, {"inputs": ["ab", "c"]}) == (200, {"outputs": outputs})


def test_the_only_output_comes_without_its_name(server):
    url = f"{server.rest_url}:predict"
    rows = {"signature_name": "one", "instances": ["ab", "c"]}
    assert post(url, rows) == (200, {"predictions": ["AB", "C"]})
    columns = {"signature_name": "one", "inputs": ["ab", "c"]}
    assert post(url, columns) == (200, {"outputs": ["AB", "C"]})


def test_numbers_of_several_types(server):
    url = f"{server.rest_url}:predict"
    rows = [
        {"point": [1, 2.5], "times": 2, "flip": False},
        {"point": [1e1, -2], "times": -1, "flip": True},
    ]
    found = post(url, {"signature_name": "numbers", "instances": rows})
    assert found == (200, {"predictions": [7.0, 8.0]})
    scalar = {"signature_name": "scalar", "inputs": 41.0}
    assert post(url, scalar) == (200, {"outputs": 42.0})


def test_numbers_that_json_does_not_know(server):
    rows = [{"point": [1e999, 0], "times": 1, "flip": True}]
    content = {"signature_name": "numbers", "instances": rows}
    body = json.dumps(content).encode()
    assert b"Infinity" in body
    found = post(f"{server.rest_url}:predict", body)
    assert found == (200, {"predictions": [float("-inf")]})


def test_bytes_go_and_come_in_base_64(server):
    given = {"b64": base64.b64encode(b"\xff\x00").decode()}
    content = {"signature_name": "raw_bytes", "instances": [given]}
    found = post(f"{server.rest_url}:predict", content)
    assert found == (200, {"predictions": [given]})


def test_versions_and_labels_in_the_path(server):
    def length(path):
        status, found = post(f"{server.rest_url}{path}:predict", {"instances": ["ab"]})
        assert status == 200
        return found["predictions"][0]["length"]

    assert length("") == 20
    assert length("/versions/2") == 20
    assert length("/versions/1") == 2
    assert length("/labels/stable") == 2


def test_classify_and_regress(server):
    content = {
        "signature_name": "classify",
        "examples": [{"text": "ab"}, {"text": "c"}],
    }
    found = post(f"{server.rest_url}:classify", content)
    results = [[["even", 1.0], ["odd", 0.0]], [["even", 0.0], ["odd", 1.0]]]
    assert found == (200, {"results": results})
    content = {
        "signature_name": "regress",
        "context": {"text": "abc"},
        "examples": [{}, {"other": 1}],
    }
    assert post(f"{server.rest_url}:regress", content) == (200, {"results": [3.0, 3.0]})


def test_status(server):
    available = {"error_code": "OK", "error_message": ""}
    found = [
        {"version": version, "state": "AVAILABLE", "status": available}
        for version in ("2", "1")
    ]
    assert get(server.rest_url) == (200, {"model_version_status": found})
    one = {"model_version_status": found[1:]}
    assert get(f"{server.rest_url}/versions/1") == (200, one)
    assert get(f"{server.rest_url}/labels/stable") == (200, one)


def test_metadata(server):
    status, found = get(f"{server.rest_url}/metadata")
    assert status == 200
    spec = {"name": "texts", "signature_name": "", "version": "2"}
    assert found["model_spec"] == spec
    signatures = found["metadata"]["signature_def"]["signature_def"]
    text = signatures["serving_default"]["inputs"]["text"]
    assert text["dtype"] == "DT_STRING"
    assert text["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]
    assert signatures["numbers"]["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize("size", [0, 1, 30_000])
def test_texts_of_any_length(server, size):
    content = {"signature_name": "one", "instances": ["é🙂" * size]}
    status, found = post(f"{server.rest_url}:predict", content)
    assert status == 200
    assert found["predictions"] == ["é🙂" * size]
