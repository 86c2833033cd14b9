"""Puts `tfft serve` under load for two minutes and reports throughput and failures.

python tools/load_server.py serving/reviews --data reviews.csv

Sends requests of one text each, by REST and by TF Serving's own gRPC stubs, from 1, 8
and 32 clients, with batching on and off. A new version is published in the middle.
Failed requests are counted and not retried. Answers that differ from the model's answer
without a server are counted too.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import grpc
import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers the tokenizer's operations)
import urllib3
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfft.data import sources
from tfft.serving.server.versions import find_versions

CLIENTS = (1, 8, 32)
NAME = "loaded"
Ask = Callable[[str], str]


@dataclasses.dataclass
class Phase:
    """The result of some seconds of load.

    Attributes:
        protocol: REST or gRPC.
        batching: Whether requests were batched.
        clients: How many clients sent requests at once.
        seconds: How long.
        latencies: Seconds of each request.
        failures: The messages of failed requests.
        wrong: How many answers differed from the expected one.
    """

    protocol: str
    batching: bool
    clients: int
    seconds: float = 0.0
    latencies: list[float] = dataclasses.field(default_factory=list)
    failures: list[str] = dataclasses.field(default_factory=list)
    wrong: int = 0

    def row(self) -> dict[str, object]:
        """Returns the figures."""
        p50, p99 = 1000 * np.percentile(self.latencies, [50, 99])
        return {
            "protocol": self.protocol,
            "batching": "on" if self.batching else "off",
            "clients": self.clients,
            "requests": len(self.latencies),
            "per second": round(len(self.latencies) / self.seconds, 1),
            "p50 ms": round(float(p50), 1),
            "p99 ms": round(float(p99), 1),
            "failed": len(self.failures),
            "wrong": self.wrong,
        }


def rest(url: str, texts: list[str]) -> Ask:
    """Returns a function that sends a request by REST."""
    pool = urllib3.PoolManager(retries=False, timeout=30)
    bodies = {text: json.dumps({"instances": [text]}).encode() for text in texts}

    def ask(text: str) -> str:
        response = pool.request("POST", f"{url}:predict", body=bodies[text])
        if response.status != 200:
            raise OSError(f"{response.status}: {response.data[:200]!r}")
        return response.json()["predictions"][0]["label"]

    return ask


def rpc(url: str, texts: list[str]) -> Ask:
    """Returns a function that sends a request by gRPC."""
    channel = grpc.insecure_channel(
        url.split("/")[2],
        # One channel for each client, as separate programs would have.
        options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)],
    )
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    requests = {}
    for text in texts:
        request = requests[text] = predict_pb2.PredictRequest()
        request.model_spec.name = NAME
        request.inputs["text"].CopyFrom(tf.make_tensor_proto([text]))

    def ask(text: str) -> str:
        response = stub.Predict(requests[text], timeout=30)
        return response.outputs["label"].string_val[0].decode()

    return ask


@contextlib.contextmanager
def served(directory: Path, batching: bool) -> Iterator[dict[str, str]]:
    """Runs `tfft serve` and yields its addresses; raises if it exits with an error."""
    command = [sys.executable, "-m", "tfft", "serve", str(directory), "--name", NAME]
    command += ["--rest_port", "0", "--grpc_port", "0"]
    command += [] if batching else ["--max_batch_size", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said = "".join(process.stdout.readline() for _ in range(3))
        yield {
            "REST": re.search(r"(http://\S+):predict", said)[1],
            "gRPC": re.search(r"grpc://\S+", said)[0],
        }
        process.send_signal(signal.SIGTERM)
        for line in process.stdout:
            if "version" in line:
                print(f"  server: {line.strip()}")
    if process.returncode:
        raise SystemExit(f"the server ended with exit code {process.returncode}")


def load(phase: Phase, asks: list[Ask], expected: dict[str, str], seconds: float):
    """Sends requests from several threads for some seconds."""
    start = time.perf_counter()
    lock = threading.Lock()

    def client(number: int, ask: Ask) -> None:
        texts = itertools.islice(itertools.cycle(expected), number, None)
        while time.perf_counter() - start < seconds:
            text, before, said, answer = next(texts), time.perf_counter(), "", ""
            try:
                answer = ask(text)
            except Exception as error:  # any exception is a failed request
                said = f"{type(error).__name__}: {error}"
            with lock:
                phase.latencies.append(time.perf_counter() - before)
                phase.wrong += not said and answer != expected[text]
                if said:
                    phase.failures.append(said)

    threads = [
        threading.Thread(target=client, args=[number, ask])
        for number, ask in enumerate(asks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    phase.seconds = time.perf_counter() - start


def drop_version(source: Path, directory: Path) -> None:
    """Publishes the model again under the next number, as an export does."""
    number = max(find_versions(directory), default=0) + 1
    shutil.copytree(source, directory / f".tmp-{number}")
    (directory / f".tmp-{number}").rename(directory / str(number))


def expected_answers(folder: Path, texts: list[str]) -> dict[str, str]:
    """Returns the label of each text, asked alone and without a server."""
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"]
    labels = [answer(text=tf.constant([text]))["label"][0].numpy() for text in texts]
    return {text: label.decode() for text, label in zip(texts, labels, strict=True)}


def main() -> None:
    """Runs all phases and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="the model's folder")
    parser.add_argument(
        "--data", type=Path, required=True, help="data file with the texts to send"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument(
        "--output", type=Path, help="write the figures to this JSON file"
    )
    arguments = parser.parse_args()
    source = max(find_versions(arguments.directory).items())[1]
    table = next(iter(sources.read(arguments.data).values()))
    texts = list(dict.fromkeys(table.column("text")))[:200]
    expected = expected_answers(source, texts)
    connect = {"REST": rest, "gRPC": rpc}
    rows = []
    for batching in (True, False):
        with tempfile.TemporaryDirectory() as temporary:
            directory = Path(temporary)
            drop_version(source, directory)
            with served(directory, batching) as urls:
                for protocol, clients in itertools.product(urls, CLIENTS):
                    url = urls[protocol]
                    asks = [connect[protocol](url, texts) for _ in range(clients)]
                    phase = Phase(protocol, batching, clients)
                    # The model changes in the middle of the phase.
                    timer = threading.Timer(
                        arguments.seconds / 3, drop_version, [source, directory]
                    )
                    timer.start()
                    load(phase, asks, expected, arguments.seconds)
                    timer.join()
                    rows.append(phase.row())
                    print(rows[-1], *phase.failures[:3], flush=True)
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n" + "| ---: " * len(names) + "|")
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in names) + " |")
    if arguments.output:
        arguments.output.write_text(json.dumps(rows, indent=1) + "\n")
    if any(row["failed"] or row["wrong"] for row in rows):
        raise SystemExit("requests failed")


if __name__ == "__main__":
    main()
