"""Both clients against the server, and against servers that misbehave."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import tfft
from tests.serving.server.conftest import serving
from tfft.core.errors import ConfigError, DataError
from tfft.serving.client.base import TensorInfo

PROTOCOLS = ("rest_url", "grpc_url")


@pytest.fixture(scope="module")
def server(versions):
    with serving(versions, labels={"stable": 1}) as found:
        yield found


@pytest.fixture(params=PROTOCOLS)
def client(request, server):
    with tfft.client.connect(getattr(server, request.param)) as client:
        yield client


def test_rows(client):
    found = client.predict(["ab", "é"])
    assert found == [{"label": "long", "length": 20}, {"label": "long", "length": 10}]
    assert client.predict([{"text": "ab"}], "one") == ["AB"]


def test_columns(client):
    point = np.array([[1, 2.5], [3, 4]], "float32")
    given = {"point": point, "times": [2, 1], "flip": [True, False]}
    found = client.predict_columns(given, "numbers")
    assert found["sum"].dtype == np.float32
    assert found["sum"].tolist() == [-7.0, 7.0]
    found = client.predict_columns({"text": ["ab", "é"]})
    assert found["label"].tolist() == ["long", "long"]
    assert found["length"].dtype == np.int32
    assert client.predict_columns({"x": 1.5}, "scalar")["y"] == 2.5


def test_a_table_is_its_rows_and_not_its_column_names(client, tmp_path):
    pandas = pytest.importorskip("pandas")
    expected = client.predict(["ab", "é"])
    frame = pandas.DataFrame({"id": [1, 2], "text": ["ab", "é"]})
    frame.to_csv(tmp_path / "rows.csv")
    given = [frame, frame["text"], {"text": ["ab", "é"]}, tmp_path / "rows.csv"]
    for rows in given:
        assert client.predict(rows) == expected
    columns = client.predict_columns(frame[["text"]])
    assert columns["label"].tolist() == ["long", "long"]
    with pytest.raises(DataError, match='column "text" is missing'):
        client.predict(frame[["id"]])
    with pytest.raises(DataError, match="rows are a single text"):
        client.predict("ab")


def test_bytes(client):
    found = client.predict_columns({"text": [b"\xff\x00"]}, "raw_bytes")
    assert found["raw_bytes"].tolist() == [b"\xff\x00"]


def test_versions_and_signatures(client):
    assert client.versions() == {1: "AVAILABLE", 2: "AVAILABLE"}
    found = client.signatures()
    assert found["serving_default"].inputs == {"text": TensorInfo("string", (None,))}
    assert found["numbers"].inputs["point"] == TensorInfo("float32", (None, 2))
    assert found["numbers"].outputs["sum"].dtype == "float32"
    assert found["scalar"].inputs["x"] == TensorInfo("float32", ())


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("which", ["/versions/1", "/labels/stable"])
def test_a_version_in_the_address(server, protocol, which):
    with tfft.client.connect(getattr(server, protocol) + which) as client:
        assert client.predict(["ab"])[0]["length"] == 2
        assert set(client.versions()) == {1, 2}


def test_what_the_server_refuses(client):
    with pytest.raises(tfft.client.ServerError, match="unknown input 'x'"):
        client.predict_columns({"text": ["a"], "x": ["b"]}, "one")
    with pytest.raises(tfft.client.ServerError) as raised:
        client.predict([["a", "b"]], "one")
    assert raised.value.status in ("400", "INVALID_ARGUMENT")
    assert "shape (1, 2)" in str(raised.value)
    with pytest.raises(ConfigError, match="unknown signature 'none'"):
        client.signature("none")


def test_rows_that_make_no_columns(server):
    with tfft.client.connect(server.grpc_url) as client:
        with pytest.raises(DataError, match="names no input"):
            client.predict([1], "numbers")
        with pytest.raises(DataError, match="differs"):
            client.predict([{"text": "a"}, {"txt": "a"}])
        with pytest.raises(DataError, match="no rows"):
            client.predict([])
        with pytest.raises(DataError, match="input 'times'"):
            client.predict([{"times": "a"}], "numbers")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8501",
        "http://localhost:8501",
        "http://localhost:8501/v1/models/",
        "http://localhost:8501/v1/models/a/versions/x",
        "ftp://localhost/v1/models/a",
        "grpc://localhost:8500",
        "grpc://localhost:8500/a/b",
    ],
)
def test_addresses_that_cannot_be_meant(url):
    with pytest.raises(ConfigError, match="copy the address that tfft serve prints"):
        tfft.client.connect(url)


@pytest.mark.parametrize("option", [{"timeout": 0}, {"retries": 9}, {"backoff": 0}])
def test_options_that_make_no_sense(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        tfft.client.connect("http://localhost:1/v1/models/a", **option)


@contextmanager
def answering(*statuses):
    """A server that gives these statuses in turn; yields its URL and the requests."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses[min(len(seen), len(statuses) - 1)]
            seen.append(time.monotonic())
            content = {"predictions": [1]} if status == 200 else {"error": "why"}
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}/v1/models/a", seen
        found.shutdown()
        thread.join()


def test_a_busy_server_is_asked_again():
    with answering(503, 503, 200) as (url, seen):
        with tfft.client.connect(url, backoff=0.01) as client:
            assert client.predict(["a"]) == [1]
        assert len(seen) == 3


def test_it_is_not_asked_forever():
    with answering(503) as (url, seen):
        with tfft.client.connect(url, backoff=0.01, retries=2) as client:
            with pytest.raises(tfft.client.ServerError, match="503: why"):
                client.predict(["a"])
        assert len(seen) == 3


@pytest.mark.parametrize("status", [400, 404, 413, 500, 504])
def test_what_would_fail_again_is_asked_once(status):
    with answering(status) as (url, seen):
        with tfft.client.connect(url, backoff=0.01) as client:
            with pytest.raises(tfft.client.ServerError, match=f"{status}: why"):
                client.predict(["a"])
        assert len(seen) == 1


@pytest.fixture
def silent():
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("url", ["http://{}/v1/models/a", "grpc://{}/a"])
def test_timeouts(silent, url):
    start = time.monotonic()
    with tfft.client.connect(url.format(silent), timeout=0.2, retries=0) as client:
        with pytest.raises(tfft.client.ServerError) as raised:
            client.versions()
    assert time.monotonic() - start < 5
    assert raised.value.status in ("", "DEADLINE_EXCEEDED", "UNAVAILABLE")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_comes_late(versions, protocol):
    """The first attempts find nobody; a later one does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    url = {
        "rest_url": f"http://127.0.0.1:{port}/v1/models/texts",
        "grpc_url": f"grpc://127.0.0.1:{port}/texts",
    }[protocol]
    option = protocol.replace("url", "port")
    found = []

    def ask():
        with tfft.client.connect(url, retries=4, backoff=1.0) as client:
            found.append(client.versions())

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    with serving(versions, **{option: port}):
        thread.join()
    assert found == [{2: "AVAILABLE"}]


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/v1/models/a", f"grpc://127.0.0.1:{port}/a"):
        with tfft.client.connect(url, retries=1, backoff=0.01) as client:
            with pytest.raises(tfft.client.ServerError, match=r"127\.0\.0\.1"):
                client.versions()
