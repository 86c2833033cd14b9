"""Runs on other families than BERT: trained, loaded again, exported."""

from __future__ import annotations

import json

import keras
import keras_hub
import pytest

import tfft
from tests.conftest import VOCABULARY, review_rows
from tests.goldens import ROOT
from tfft.models.tokenizer_files import read_tokenizer, word_piece

SIZES = {
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 16,
    "max_sequence_length": 32,
    "dropout": 0.0,
}


def gpt2():
    tokenizer = read_tokenizer(ROOT / "gpt2-tokenizer")
    size = tokenizer.vocabulary_size
    return keras_hub.models.GPT2Backbone(vocabulary_size=size, **SIZES), tokenizer


def distilbert():
    size = len(VOCABULARY)
    backbone = keras_hub.models.DistilBertBackbone(vocabulary_size=size, **SIZES)
    return backbone, word_piece(VOCABULARY)


@pytest.mark.parametrize(
    ("make", "pooling", "family", "method"),
    [
        (gpt2, "last", "gpt2", tfft.LastLayers(count=1)),
        (distilbert, "first", "distilbert", tfft.LoRA()),
    ],
)
def test_a_run_is_trained_loaded_and_exported(tmp_path, make, pooling, family, method):
    keras.utils.set_random_seed(0)
    model = tfft.export_huggingface(make()[0], tmp_path / "model", make()[1])
    run = tfft.finetune(
        model=model,
        data=review_rows(40),
        output_dir=tmp_path / "run",
        method=method,
        epochs=1,
        precision="float32",
        verbose=0,
    )
    assert run.task.pooling == pooling
    texts = ["good abc", "bad", "a much longer text " * 20]
    assert tfft.load(run.folder).predict(texts) == run.predict(texts)
    folder = run.export_huggingface(tmp_path / "out", head=False)
    assert json.loads((folder / "config.json").read_text())["model_type"] == family
