"""Batches: what goes through together, and that nobody pays for a neighbour."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tfft
from tests.serving.server.conftest import serving

CLIENTS = 8


@pytest.fixture(scope="module")
def batching(versions):
    """A server whose batches wait a long time, or until they are full."""
    options = {"max_batch_size": CLIENTS, "batch_timeout_ms": 3000}
    with serving(versions, **options) as found:
        yield found


def at_once(server, signature, texts, **options):
    """Returns each text's answer, or its error, all asked at the same time."""
    ready = threading.Barrier(len(texts))

    def ask(text):
        with tfft.client.connect(server.rest_url, **options) as client:
            ready.wait()
            try:
                return client.predict([text], signature)[0]
            except tfft.client.ServerError as error:
                return error

    with ThreadPoolExecutor(len(texts)) as pool:
        return list(pool.map(ask, texts))


def test_a_full_batch_goes_through_together(batching):
    assert at_once(batching, "batch", ["a"] * CLIENTS) == [CLIENTS] * CLIENTS


def test_each_gets_its_own_rows(batching):
    texts = [f"{number:0{number + 1}d}" for number in range(CLIENTS)]
    found = at_once(batching, "serving_default", texts)
    assert [one["length"] for one in found] == [10 * len(text) for text in texts]


def test_rows_of_another_shape_are_another_batch(batching):
    with tfft.client.connect(batching.rest_url) as client:
        many = client.predict(["a"] * CLIENTS, "batch")
    assert many == [CLIENTS] * CLIENTS


def test_a_bad_request_fails_alone(batching):
    texts = ["abc"] * (CLIENTS - 1) + ["bad"]
    found = at_once(batching, "fails", texts)
    assert found[:-1] == [3] * (CLIENTS - 1)
    assert found[-1].status == "400"


def test_outputs_that_are_not_rows_are_never_mixed(versions):
    options = {"max_batch_size": 2, "batch_timeout_ms": 3000}
    with serving(versions, **options) as server:

        def ask(text):
            with tfft.client.connect(server.rest_url) as client:
                found = client.predict_columns({"text": [text]}, "not_rows")
                return found["letters"].tolist()

        for _ in range(2):
            with ThreadPoolExecutor(2) as pool:
                assert list(pool.map(ask, ["abc", "de"])) == [list("abc"), list("de")]


def test_batching_can_be_switched_off(versions):
    with serving(versions, max_batch_size=1, batch_timeout_ms=3000) as server:
        assert at_once(server, "batch", ["a"] * CLIENTS) == [1] * CLIENTS


def test_without_waiting_requests_gather_while_the_model_is_busy(versions):
    with serving(versions, max_batch_size=CLIENTS, threads=1) as server:
        found = at_once(server, "batch", ["a"] * CLIENTS * 2)
        assert max(found) <= CLIENTS
        with tfft.client.connect(server.rest_url) as client:
            assert client.predict(["a"], "batch") == [1]


def test_a_request_that_takes_too_long(versions):
    options = {"max_batch_size": 8, "batch_timeout_ms": 60_000, "timeout": 0.2}
    with serving(versions, **options) as server:
        (error,) = at_once(server, "batch", ["a"])
        assert error.status == "504"
        assert "no answer within 0.2 s" in str(error)
        url = server.grpc_url
        with tfft.client.connect(url) as client:
            with pytest.raises(tfft.client.ServerError, match="no answer") as raised:
                client.predict(["a"], "batch")
        assert raised.value.status == "DEADLINE_EXCEEDED"


def test_more_requests_than_are_taken(versions):
    options = {"max_batch_size": 8, "batch_timeout_ms": 1000, "max_requests": 2}
    with serving(versions, **options) as server:
        found = at_once(server, "batch", ["a"] * 6, retries=0)
        busy = [one for one in found if isinstance(one, tfft.client.ServerError)]
        assert {one.status for one in busy} == {"503"}
        assert 1 <= len(busy) <= 4
        # A client that tries again gets through.
        found = at_once(server, "batch", ["a"] * 4, retries=4, backoff=1.0)
        assert not any(isinstance(one, tfft.client.ServerError) for one in found)
