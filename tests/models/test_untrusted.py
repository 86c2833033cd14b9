"""Files that someone else made do no harm: one kind of error, quickly, nothing else."""

from __future__ import annotations

import shutil

import pytest

from tests.fixtures.untrusted import (
    CONFIG,
    NAMES,
    WEIGHTS,
    assign,
    build_once,
    crafted_weights,
    fuzz_configs,
    fuzz_indexes,
    fuzz_tokenizers,
    fuzz_weights,
    outcome,
    safetensors_bytes,
)
from tests.goldens import ROOT, golden
from tfft.compute.layers import variables_by_path
from tfft.core.errors import DataError
from tfft.models.load_backbone import load_backbone
from tfft.models.weights import read_all_tensors, weight_files

GOOD = (ROOT / "bert-classifier" / WEIGHTS).read_bytes()


@pytest.fixture(scope="module")
def loaded():
    return {name: load_backbone(golden(name)[0]) for name in NAMES}


@pytest.fixture
def folder(tmp_path):
    """A copy of a small BERT that may be damaged."""
    for name in (CONFIG, WEIGHTS):
        shutil.copy(ROOT / "bert-classifier" / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def quick(monkeypatch):
    """Builds backbones of the same arguments once: thousands of configs are alike."""
    build_once(monkeypatch)


def values(backbone):
    return {path: v.numpy() for path, v in variables_by_path(backbone).items()}


@pytest.mark.parametrize("name", crafted_weights(GOOD))
def test_a_file_that_is_no_safetensors_file_is_refused_by_name(folder, name):
    content = crafted_weights(GOOD)[name]
    (folder / WEIGHTS).write_bytes(content)
    read_all_tensors([ROOT / "bert-classifier" / WEIGHTS])  # imports what it needs
    error = outcome(lambda: read_all_tensors(weight_files(folder)), folder)
    assert isinstance(error, DataError)
    assert error.where == str(folder / WEIGHTS)
    assert error.what.startswith(("not a complete safetensors file", "x holds F8_E4M3"))
    assert error.fix


@pytest.mark.parametrize(
    ("header", "data", "problem"),
    [
        ({}, b"", "is missing"),
        ({"../../../etc/passwd": (1,)}, bytes(4), "../../../etc/passwd is not known"),
        ({"a\0b": (1,)}, bytes(4), "is not known"),
        ({"": (1,)}, bytes(4), " is not known"),
        ({"embeddings.LayerNorm.weight": ()}, bytes(4), "has shape (), not (16,)"),
        ({"embeddings.LayerNorm.weight": (0,)}, b"", "has shape (0,), not (16,)"),
    ],
)
def test_a_whole_file_of_the_wrong_tensors_changes_nothing(
    folder, loaded, header, data, problem
):
    entries = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [0, len(data)]}
        for name, shape in header.items()
    }
    (folder / WEIGHTS).write_bytes(safetensors_bytes(entries, data))
    one = loaded["bert-classifier"]
    before = values(one.backbone)
    error = outcome(lambda: assign(one, folder), folder)
    assert isinstance(error, DataError)
    shown = {f"{name} {text}" for name in header for text in [problem]} | {problem}
    assert any(text in error.what for text in shown) or "more" in error.what
    for path, value in values(one.backbone).items():
        assert (value == before[path]).all()


def test_mutants_of_weights(loaded, folder):
    refused, taken = fuzz_weights(loaded, folder, 400)
    # A bit of a value may flip unseen: the format has no checksum.
    assert refused > taken > 0


@pytest.mark.usefixtures("quick")
def test_mutants_of_configs(folder):
    refused, taken = fuzz_configs(folder, 120)
    assert refused > 0
    assert taken > 0


def test_mutants_of_indexes_and_tokenizers(folder):
    refused, _ = fuzz_indexes(folder, 100)
    assert refused > 50
    refused, _ = fuzz_tokenizers(folder, 100)
    assert refused > 30
