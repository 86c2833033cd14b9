"""A server that lists the folder each millisecond never sees half a version."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

# Exports of a model of one weight, by the very function that publishes runs.
EXPORT = """
import sys
from pathlib import Path
import keras, tensorflow as tf
from tfft.serving.saved_model import publish
from tfft.tasks.endpoint import Endpoint
directory, count = Path(sys.argv[1]), int(sys.argv[2])
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
endpoint = Endpoint({"x": ((None, 1), "float32")}, lambda x: {"y": model(x)})
def finish(folder):
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "last").write_text("written after all else")
print("ready", flush=True)
for _ in range(count):
    publish({"serving_default": endpoint}, directory, finish=finish)
"""
NEEDED = (
    "saved_model.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
    "assets.extra/last",
)


class Poller(threading.Thread):
    """Lists a folder each millisecond, as a server does each second."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.directory, self.done = directory, threading.Event()
        self.seen, self.incomplete, self.looks = set(), [], 0

    def run(self):
        while not self.done.wait(0.001):
            self.looks += 1
            for entry in os.listdir(self.directory):
                if entry.isdigit() and entry not in self.seen:
                    self.seen.add(entry)
                    version = Path(self.directory, entry)
                    missing = [one for one in NEEDED if not (version / one).is_file()]
                    self.incomplete += [(entry, one) for one in missing]


@contextlib.contextmanager
def exporting(directory, count):
    command = [sys.executable, "-c", EXPORT, str(directory), str(count)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def kill_one(directory, poller, first):
    """Kills an export while it writes; tells whether it left something behind."""
    with exporting(directory, 10_000) as process:
        while process.poll() is None:
            folders = [one for one in os.listdir(directory) if one[0] == "."]
            if len(poller.seen) >= first and folders:
                process.kill()
                process.wait()
                return any(one[0] == "." for one in os.listdir(directory))
            time.sleep(0.002)
    raise AssertionError("the exports ended by themselves")


def watched(directory, first, rest):
    directory.mkdir()
    poller = Poller(directory)
    poller.start()
    try:
        left = False
        while not left:  # one that had just been renamed left nothing: another then
            left = kill_one(directory, poller, first)
        with exporting(directory, rest) as process:
            assert process.wait() == 0
    finally:
        time.sleep(0.1)
        poller.done.set()
        poller.join()
    assert poller.incomplete == []
    assert len(poller.seen) >= first + rest
    assert poller.looks > 100
    # What the killed one left is gone since the next export.
    assert all(one.name.isdigit() for one in directory.iterdir())
    versions = sorted(int(one.name) for one in directory.iterdir())
    assert versions == list(range(1, len(versions) + 1))


def test_no_version_is_seen_before_it_is_whole(tmp_path):
    watched(tmp_path / "model", 2, 2)


@pytest.mark.slow
def test_a_hundred_exports_one_of_them_killed(tmp_path):
    watched(tmp_path / "model", 50, 50)
