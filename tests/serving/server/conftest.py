"""Tiny SavedModels and servers of them, in a thread of the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
import tensorflow as tf

from tfft.serving.server.config import ServeConfig
from tfft.serving.server.lifecycle import Server

TEXT = tf.TensorSpec([None], tf.string, "text")


class Texts(tf.Module):
    """Text in; its length times a factor, and a label, out."""

    def __init__(self, factor):
        self.factor = tf.Variable(factor, trainable=False)
        self.largest_batch = tf.Variable(0, trainable=False)

    @tf.function(input_signature=[TEXT])
    def serve(self, text):
        length = tf.strings.length(text, unit="UTF8_CHAR") * self.factor
        return {
            "label": tf.where(length > 3, "long", "short"),
            "length": length,
        }

    @tf.function(input_signature=[TEXT])
    def one(self, text):
        return {"upper": tf.strings.upper(text)}

    @tf.function(input_signature=[TEXT])
    def raw_bytes(self, text):
        return {"raw_bytes": text}

    @tf.function(input_signature=[TEXT])
    def wrong_text(self, text):
        return {"text": tf.strings.substr(text, 0, 1)}

    @tf.function(input_signature=[TEXT])
    def batch(self, text):
        """Tells how many rows went through together."""
        rows = tf.shape(text)[0]
        wait = tf.while_loop(
            lambda step, _: step < 200,
            lambda step, x: (step + 1, x @ x / 30.0),
            [0, tf.ones([30, 30])],
        )
        told = tf.fill([rows], rows) + tf.cast(wait[1][0, 0] * 0, tf.int32)
        return {"rows": told}

    @tf.function(input_signature=[TEXT])
    def fails(self, text):
        bad = tf.equal(text, "bad")
        with tf.control_dependencies(
            [tf.debugging.Assert(~tf.reduce_any(bad), ["no"])]
        ):
            return {"length": tf.strings.length(text)}

    @tf.function(input_signature=[TEXT])
    def not_rows(self, text):
        return {"letters": tf.strings.bytes_split(text).flat_values}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, "point"),
            tf.TensorSpec([None], tf.int64, "times"),
            tf.TensorSpec([None], tf.bool, "flip"),
        ]
    )
    def numbers(self, point, times, flip):
        signs = tf.where(flip, -1.0, 1.0)
        return {"sum": tf.reduce_sum(point, 1) * tf.cast(times, tf.float32) * signs}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, "x")])
    def scalar(self, x):
        return {"y": x + 1}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs):
        text = self._parsed(inputs)
        length = tf.cast(tf.strings.length(text), tf.float32)
        rows = tf.shape(text)[0]
        return {
            "classes": tf.tile([["even", "odd"]], [rows, 1]),
            "scores": tf.stack([1 - length % 2, length % 2], axis=1),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(self, inputs):
        return {"outputs": tf.cast(tf.strings.length(self._parsed(inputs)), tf.float32)}

    def _parsed(self, inputs):
        return tf.io.parse_example(
            inputs, {"text": tf.io.FixedLenFeature([], tf.string)}
        )["text"]


NAMES = ("one", "raw_bytes", "wrong_text", "batch", "fails", "not_rows", "numbers")


def write_version(directory, version, factor=1):
    """Writes a version of `Texts` as an export does: elsewhere, then renamed."""
    model = Texts(factor)
    signatures = {"serving_default": model.serve}
    names = (*NAMES, "scalar", "classify", "regress")
    signatures |= {name: getattr(model, name) for name in names}
    temporary = directory / f".tmp-{version}"
    tf.saved_model.save(model, str(temporary), signatures)
    temporary.rename(directory / str(version))
    return directory / str(version)


@contextlib.contextmanager
def serving(directory, **options):
    """Runs a server in a thread, and stops it."""
    config = ServeConfig(
        **{
            "directory": directory,
            "name": "texts",
            "rest_port": 0,
            "grpc_port": 0,
            "poll_seconds": 0.05,
            **options,
        }
    )
    ready, stop, box = threading.Event(), asyncio.Event(), {}

    async def run():
        box["loop"] = asyncio.get_running_loop()
        server = box["server"] = Server(config, box.setdefault("said", []).append)
        try:
            await server.start()
        finally:
            ready.set()
        await stop.wait()
        await server.stop()

    def target():
        try:
            asyncio.run(run())
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=target)
    thread.start()
    ready.wait()
    try:
        if "error" in box or not box["server"].grpc_address:
            thread.join()
            raise box["error"]
        server = box["server"]
        server.said = box["said"]
        server.rest_url = f"http://{server.rest_address}/v1/models/texts"
        server.grpc_url = f"grpc://{server.grpc_address}/texts"
        yield server
    finally:
        if thread.is_alive():
            box["loop"].call_soon_threadsafe(stop.set)
        thread.join()
    if "error" in box:
        raise box["error"]


@pytest.fixture(scope="session")
def versions(tmp_path_factory):
    """A folder with versions 1 and 2 of `Texts`."""
    directory = tmp_path_factory.mktemp("texts")
    write_version(directory, 1, factor=1)
    write_version(directory, 2, factor=10)
    return directory


@pytest.fixture(scope="session")
def server(versions):
    """A server of version 2, and of version 1 by the label "stable"."""
    with serving(versions, labels={"stable": 1}, max_body_mb=1) as found:
        yield found
