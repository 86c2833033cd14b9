"""Versions that come, go, are broken, and are drained."""

from __future__ import annotations

import shutil
import threading
import time

import pytest
import tensorflow as tf

import tfft
from tests.serving.server.conftest import serving, write_version
from tfft.core.errors import MissingInputError
from tfft.serving.server.versions import find_versions


@pytest.fixture
def directory(tmp_path, versions):
    shutil.copytree(versions / "1", tmp_path / "models" / "1")
    return tmp_path / "models"


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def publish(source, directory, version):
    shutil.copytree(source, directory / ".tmp")
    (directory / ".tmp").rename(directory / str(version))


def test_a_new_version_takes_over_without_a_failed_request(directory, versions):
    with serving(directory) as server:
        lengths, stop = [], threading.Event()

        def ask():
            with tfft.client.connect(server.rest_url, retries=0) as client:
                while not stop.is_set():
                    lengths.append(client.predict(["ab"])[0]["length"])

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: lengths)
        publish(versions / "2", directory, 2)
        with tfft.client.connect(server.grpc_url) as client:
            until(lambda: client.versions() == {2: "AVAILABLE", 1: "END"})
        stop.set()
        for thread in threads:
            thread.join()
        assert lengths[0] == 2
        # Once the new one has answered, the old one never does.
        assert lengths == sorted(lengths)
        assert lengths[-1] == 20
    assert "version 1 is unloaded" in server.said


def test_going_back_by_removing_the_newest(directory, versions):
    publish(versions / "2", directory, 2)
    with serving(directory) as server:
        assert server.versions.served == [2]
        shutil.rmtree(directory / "2")
        until(lambda: server.versions.served == [1])


def test_the_last_version_is_served_when_the_folder_is_gone(directory):
    with serving(directory) as server:
        shutil.rmtree(directory)
        until(lambda: any("cannot be read" in line for line in server.said))
        time.sleep(0.3)
        assert sum("cannot be read" in line for line in server.said) == 1
        with tfft.client.connect(server.rest_url) as client:
            assert client.predict(["ab"])[0]["length"] == 2


def test_a_broken_version_is_told_and_the_old_one_serves(directory, versions):
    with serving(directory) as server:
        (directory / "3").mkdir()
        (directory / "3" / "saved_model.pb").write_bytes(b"\xff" * 10)
        with tfft.client.connect(server.rest_url) as client:
            until(lambda: client.versions().get(3) == "END")
            assert client.predict(["ab"])[0]["length"] == 2
        assert "is damaged" in server.versions.states[3].error
        assert sum("version 3 is not loaded" in line for line in server.said) == 1
        # Written again, it is loaded.
        shutil.rmtree(directory / "3")
        publish(versions / "2", directory, 3)
        until(lambda: server.versions.served == [3])


def test_an_unfinished_version_is_not_touched(directory):
    with serving(directory) as server:
        (directory / "7" / "variables").mkdir(parents=True)
        (directory / ".tmp-8").mkdir()
        time.sleep(0.3)
        assert server.versions.served == [1]
        assert set(server.versions.states) == {1}


def test_several_versions_and_labels(directory, versions):
    publish(versions / "2", directory, 2)
    publish(versions / "1", directory, 3)
    with serving(directory, keep_versions=2, labels={"first": 1}) as server:
        assert server.versions.served == [1, 2, 3]
    with serving(directory, keep_versions=2) as server:
        assert server.versions.served == [2, 3]


def test_a_version_in_use_is_drained(directory, versions):
    with serving(directory) as server:
        old = server.versions.find("texts", 1, None)
        with old.used():
            publish(versions / "2", directory, 2)
            until(lambda: server.versions.served == [2])
            assert server.versions.states[1].name == "UNLOADING"
            assert old.signatures["one"]({"text": tf.constant(["a"]).numpy()})
        until(lambda: server.versions.states[1].name == "END")


def test_numbers_alone_are_versions(tmp_path, versions):
    for name in ("00004", "4a", "-1", "²", "x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_bytes(b"")
    assert find_versions(tmp_path) == {4: tmp_path / "00004"}


def test_nothing_to_serve(tmp_path):
    with pytest.raises(MissingInputError, match="no version in"), serving(tmp_path):
        pass
    missing = tmp_path / "models"
    with pytest.raises(MissingInputError, match="is not there"), serving(missing):
        pass


class Reads(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string, "path")])
    def serve(self, path):
        return {"content": tf.io.read_file(path)}


def test_a_model_that_reads_files_is_refused(tmp_path):
    model = Reads()
    tf.saved_model.save(model, str(tmp_path / "1"), {"serving_default": model.serve})
    with pytest.raises(tfft.TfftError, match="it uses ReadFile"), serving(tmp_path):
        pass


def test_warm_up_requests_are_replayed(directory):
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["a"]))
    path = directory / "1" / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
    with serving(directory) as server:
        assert server.versions.served == [1]
    request.model_spec.signature_name = "none"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
    with pytest.raises(tfft.TfftError, match="unknown signature 'none'"):
        with serving(directory):
            pass


def test_write_version_is_seen_whole(tmp_path):
    found = write_version(tmp_path, 5)
    assert find_versions(tmp_path) == {5: found}
