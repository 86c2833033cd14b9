"""Each setting changes what it says."""

from __future__ import annotations

import os
import socket
import time

import pytest

import tfft
from tests.serving.server.conftest import serving
from tfft.serving.server.config import ServeConfig


def test_the_host_is_the_only_address(versions):
    with serving(versions, host="127.0.0.2") as server:
        for address in (server.rest_address, server.grpc_address):
            host, port = address.split(":")
            assert host == "127.0.0.2"
            socket.create_connection((host, int(port)), timeout=5).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(port)), timeout=5)


def test_name_rows_and_the_time_for_a_body(versions):
    options = {"name": "other", "max_rows": 1, "timeout": 0.5}
    with serving(versions, **options) as server:
        url = server.rest_url.replace("/texts", "/other")
        with tfft.client.connect(url) as client:
            assert client.predict(["a"], "one") == ["A"]
            with pytest.raises(tfft.client.ServerError, match="2 rows in a request"):
                client.predict(["a", "b"], "one")
        host, port = server.rest_address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            head = "POST /v1/models/other:predict HTTP/1.1\r\nHost: a\r\n"
            connection.sendall(f"{head}Content-Length: 10\r\n\r\n{{".encode())
            answer = connection.recv(4096)
    assert answer.split(b" ")[1] == b"408"
    assert b"no whole body within 0.5 s" in answer


def test_how_often_the_folder_is_looked_at(versions, tmp_path):
    (tmp_path / "1").symlink_to(versions / "1")
    with serving(tmp_path, poll_seconds=3600) as server:
        (tmp_path / "2").symlink_to(versions / "2")
        time.sleep(0.3)
        assert server.versions.served == [1]


def test_threads(tmp_path):
    assert ServeConfig(directory=tmp_path, threads=3).batches_at_once == 3
    half = max(1, os.cpu_count() // 2)
    assert ServeConfig(directory=tmp_path).batches_at_once == half
