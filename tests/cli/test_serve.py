"""`tfft serve` as a process, and `tfft predict --server`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading

import grpc
import pytest
import urllib3
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

import tfft
from tfft.cli.main import main
from tfft.cli.parser import make_parser
from tfft.core.errors import ConfigError
from tfft.serving.server.config import ServeConfig

TEXTS = ["good abc", "bad abc", "good good bad"]


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("serving") / "reviews"
    tiny_run.export(directory)
    return directory


@pytest.fixture(scope="module")
def process(exported):
    """The process, and the lines that it has printed."""
    command = [sys.executable, "-m", "tfft", "serve", str(exported)]
    command += ["--rest_port", "0", "--grpc_port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as found:
        lines = [found.stdout.readline() for _ in range(3)]
        yield found, "".join(lines)
        found.kill()


@pytest.fixture(scope="module")
def url(process):
    found = re.search(r"http://127\.0\.0\.1:\d+/v1/models/reviews", process[1])
    assert found, process[1] + process[0].stderr.read()
    return found[0]


def test_it_says_what_it_serves_and_where(process, url):
    assert "version 1 is served" in process[1]
    assert re.search(r"grpc://127\.0\.0\.1:\d+/reviews", process[1])


def test_predict_asks_the_server_as_it_would_the_run(url, tiny_run, capsys):
    assert main(["predict", "--server", url, "--json", *TEXTS]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = tiny_run.predict(TEXTS)
    assert [one["label"] for one in answers] == [one["label"] for one in expected]
    for one, other in zip(answers, expected, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


def test_predict_asks_by_grpc_and_for_the_rows_of_a_file(
    process, tiny_run, tmp_path, capsys
):
    file = tmp_path / "rows.csv"
    file.write_text("text,other\n" + "".join(f"{text},x\n" for text in TEXTS))
    address = re.search(r"grpc://\S+", process[1])[0]
    assert main(["predict", "--server", address, "--file", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "row 3" in shown
    for answer in tiny_run.predict(TEXTS):
        assert f"{answer['score']:.4f}" in shown


def test_classify_asks_our_own_export_by_both_protocols(process, url, tiny_run):
    expected = [list(one["probabilities"].items()) for one in tiny_run.predict(TEXTS)]
    body = {"signature_name": "classify", "examples": [{"text": x} for x in TEXTS]}
    answer = urllib3.PoolManager().request("POST", f"{url}:classify", json=body)
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "reviews"
    request.model_spec.signature_name = "classify"
    for text in TEXTS:
        one = request.input.example_list.examples.add()
        one.features.feature["text"].bytes_list.value.append(text.encode())
    address = re.search(r"grpc://(\S+)/", process[1])[1]
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        rows = stub.Classify(request, timeout=30).result.classifications
    by_grpc = [[(one.label, one.score) for one in row.classes] for row in rows]
    for found in (answer.json()["results"], by_grpc):
        for row, right in zip(found, expected, strict=True):
            assert [label for label, _ in row] == [label for label, _ in right]
            assert [score for _, score in row] == pytest.approx(
                [score for _, score in right], abs=1e-5
            )


def test_predict_of_a_server_that_is_not_there(capsys):
    url = "http://127.0.0.1:9/v1/models/reviews"
    assert main(["predict", "--server", url, "text"]) == 69
    assert "no answer" in capsys.readouterr().err


def test_predict_without_run_and_server(capsys):
    assert main(["predict", "--file", "rows.csv"]) == 2
    assert "no run is given" in capsys.readouterr().err


def test_several_inputs_need_a_file_with_names(capsys, monkeypatch):
    info = tfft.client.SignatureInfo({"question": None, "context": None}, {})
    monkeypatch.setattr(
        "tfft.serving.client.base.Client.signature", lambda self, name: info
    )
    url = "http://127.0.0.1:9/v1/models/reviews"
    assert main(["predict", "--server", url, "text"]) == 2
    assert "expected --file with these columns" in capsys.readouterr().err


def test_a_taken_port(url, exported, capsys):
    port = re.search(r":(\d+)/", url)[1]
    command = ["serve", str(exported), "--rest_port", port, "--grpc_port", "0"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert "--rest_port 0" in said


def test_requests_are_answered_before_it_stops(process, url):
    """The last test of the process: SIGTERM while requests are under way."""
    http = urllib3.PoolManager(maxsize=8)
    body = json.dumps({"instances": TEXTS * 100}).encode()
    statuses, started = [], threading.Barrier(5)

    def ask():
        started.wait()
        statuses.append(http.request("POST", f"{url}:predict", body=body).status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    # All four connections are open before the signal.
    while http.connection_from_url(url).num_connections < 4:
        pass
    threading.Event().wait(0.2)
    process[0].send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    assert process[0].wait(20) == 0
    assert "stopping" in process[0].stdout.read()
    assert process[0].stderr.read() == ""


def test_what_is_not_there(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "none")]) == 66
    assert "is not there" in capsys.readouterr().err
    assert main(["serve", str(tmp_path)]) == 66
    assert "tfft export RUN DIRECTORY" in capsys.readouterr().err


def test_every_option_has_a_help_text(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["serve", "--help"])
    shown = capsys.readouterr().out
    helps = re.findall(r"^  --(\w+) VALUE\s+\w", shown, re.M)
    assert set(helps) == set(ServeConfig.__dataclass_fields__) - {"directory"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("rest_port", 70_000),
        ("grpc_port", -1),
        ("keep_versions", 0),
        ("poll_seconds", 0),
        ("max_batch_size", 0),
        ("batch_timeout_ms", -1),
        ("threads", -1),
        ("max_body_mb", 4096),
        ("max_rows", 0),
        ("max_requests", 0),
        ("timeout", 0),
        ("name", "a/b"),
        ("labels", {"a-b": 1}),
    ],
)
def test_settings_that_make_no_sense(tmp_path, option, value):
    with pytest.raises(ConfigError, match=option):
        ServeConfig(directory=tmp_path, **{option: value})


def test_who_can_reach_it(tmp_path):
    def local(host):
        return ServeConfig(directory=tmp_path, host=host).is_local

    assert ServeConfig(directory=tmp_path).host == "127.0.0.1"
    assert all(map(local, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(local, ["0.0.0.0", "::", "10.0.0.1", "box.example.org"]))
