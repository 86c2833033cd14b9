"""Folders of transformers 4.30, 4.57 and 5 are read as AutoTokenizer reads them.

Made by `tools/make_folders.py`; ids, pairs, cuts and special tokens are those of
transformers 5, states and logits torch's in float64.
"""

from __future__ import annotations

import pytest

from tests.goldens import ROOT
from tests.goldens.folders import compare
from tfft.models.tokenizer_files import read_tokenizer

FOLDERS = ROOT / "folders"
NAMES = sorted(path.name for path in FOLDERS.iterdir() if path.is_dir())
# What transformers 5 decides against a tokenizer.json.
NOTES = {
    "bert-config-decides-5": ["normalizer.lowercase is false, not true"],
    "bert-lowercased-4.57": [
        "normalizer.lowercase is true, not false",
        "no token_type_ids among the inputs of the tokenizer",
    ],
    "gpt2-spaced-4.57": ["pre_tokenizer.add_prefix_space is true, not false"],
    "llama-added-4.57": ['model.unk_token is null, not "<unk>"'],
    "llama-as-gpt2-4.57": ["pre_tokenizer is ByteLevel, not Sequence (Digits, Byte"],
    "llama-legacy-4.30": ["normalizer is none, not Sequence (Prepend, Replace)"],
    "llama-legacy-added-4.57": ["normalizer is none, not Sequence (Prepend, Replace)"],
    "roberta-spaced-4.57": ["pre_tokenizer.add_prefix_space is true, not false"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_read_as_transformers_reads_it(name):
    *counts, outputs = compare(FOLDERS, name)
    assert counts == [0, 0, 0, 0]
    assert outputs <= 2e-5


@pytest.mark.parametrize("name", NAMES)
def test_what_tokenizer_json_does_not_decide_is_said(name):
    notes, expected = read_tokenizer(FOLDERS / name).notes, NOTES.get(name, [])
    assert len(notes) == len(expected)
    assert all(part in note for part, note in zip(expected, notes, strict=True))


def test_twenty_folders_of_five_families_and_three_versions():
    assert len(NAMES) >= 20
    families = {name.split("-")[0] for name in NAMES}
    assert families >= {"bert", "distilbert", "roberta", "gpt2", "llama", "qwen2"}
    for family in ("bert", "distilbert", "roberta", "gpt2", "llama"):
        versions = {name.split("-")[-1] for name in NAMES if name.startswith(family)}
        assert versions == {"4.30", "4.57", "5"}
