"""Links inside a model folder are followed within the model's own folders only."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.fixtures.bert import write_bert
from tests.fixtures.untrusted import deeds_outside, into_cache, watched
from tfft.core.errors import DataError, MissingInputError
from tfft.core.model_folder import file_in
from tfft.models.pretrained import load_pretrained
from tfft.models.weights import weight_files

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"


@pytest.fixture
def folder(tmp_path):
    return write_bert(tmp_path / "model")


def into_shards(folder):
    """Splits the weights of a folder into two files with an index."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    weight_map = {name: f"part-{i % 2}.safetensors" for i, name in enumerate(tensors)}
    for file in set(weight_map.values()):
        part = {name: t for name, t in tensors.items() if weight_map[name] == file}
        save_file(part, folder / file)
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    return folder


@pytest.mark.parametrize("split", [False, True])
def test_a_snapshot_of_the_cache_is_loaded(tmp_path, folder, split):
    expected = load_pretrained(folder).backbone.token_embedding.embeddings
    snapshot = into_cache(into_shards(folder) if split else folder, tmp_path / "hub")
    found = load_pretrained(snapshot).backbone.token_embedding.embeddings
    np.testing.assert_array_equal(found, expected)


def test_a_folder_that_is_itself_a_link_is_loaded(tmp_path, folder):
    (tmp_path / "other").symlink_to(folder)
    assert load_pretrained(tmp_path / "other").notes == ()


@pytest.mark.parametrize(
    "name",
    ["config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", WEIGHTS],
)
def test_a_link_to_a_file_elsewhere_is_refused_unopened(tmp_path, folder, name):
    secret = tmp_path / "secret"
    if (folder / name).is_file():
        (folder / name).rename(secret)
    else:
        secret.write_text("{}")
    (folder / name).symlink_to(secret)
    with watched() as events, pytest.raises(DataError) as caught:
        load_pretrained(folder)
    assert caught.value.what == f"the file {name!r} lies outside the model folder"
    assert caught.value.where == str(folder)
    opened = [subject for event, subject in deeds_outside(events, folder)]
    assert str(secret) not in map(str, opened)


@pytest.mark.parametrize(
    "target",
    ["../outside.safetensors", "{root}/outside.safetensors", "../hub/blobs/0"],
)
def test_a_shard_that_leads_out_of_the_folder_is_refused(tmp_path, folder, target):
    into_shards(folder)
    shard = folder / "part-0.safetensors"
    for place in (tmp_path / "outside.safetensors", tmp_path / "hub" / "blobs" / "0"):
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shard, place)
    shard.unlink()
    shard.symlink_to(target.format(root=tmp_path))
    with pytest.raises(DataError, match="lies outside the model folder"):
        weight_files(folder)


def test_another_models_blobs_are_outside(tmp_path, folder):
    snapshot = into_cache(folder, tmp_path / "hub")
    other = tmp_path / "hub" / "models--other" / "blobs" / "0"
    other.parent.mkdir(parents=True)
    shutil.copy(folder / WEIGHTS, other)
    (snapshot / WEIGHTS).unlink()
    (snapshot / WEIGHTS).symlink_to(other)
    with pytest.raises(DataError, match="lies outside the model folder"):
        weight_files(snapshot)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "..", "", "a\0b", "./x", "x/"]
)
def test_a_path_is_no_name(tmp_path, name):
    (tmp_path / "x").write_text("x")
    with pytest.raises(DataError, match="lies outside the model folder"):
        file_in(tmp_path, name)


@pytest.mark.parametrize("name", ["no", "a" * 5000, "\ud800", "circle", "dangling"])
def test_what_is_no_file_is_not_there(tmp_path, name):
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert file_in(tmp_path, name) is None


def test_a_pipe_is_no_file(folder):
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / WEIGHTS)
    with pytest.raises(MissingInputError, match=r"without model\.safetensors"):
        weight_files(folder)


def test_an_index_of_too_many_files(folder):
    (folder / WEIGHTS).unlink()
    names = {str(index): f"{index}.safetensors" for index in range(100_000)}
    (folder / INDEX).write_text(json.dumps({"weight_map": names}))
    with pytest.raises(DataError, match="it names more than 10,000 files"):
        weight_files(folder)


def test_an_index_of_too_many_bytes(folder):
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_bytes(b" " * 10_000_001)
    with pytest.raises(DataError, match="larger than 10 MB"):
        weight_files(folder)


def test_a_tensor_in_two_files(folder):
    into_shards(folder)
    shutil.copy(folder / "part-0.safetensors", folder / "part-1.safetensors")
    with pytest.raises(DataError, match="is in more than one weight file"):
        load_pretrained(folder)
