"""Runs on other families than BERT: trained, loaded again, exported."""

from __future__ import annotations

import json

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

import tfft
from tests.fixtures.bert import VOCABULARY
from tests.fixtures.rows import review_rows
from tests.goldens import ROOT
from tfft.methods.method import METHODS
from tfft.models.pretrained import load_pretrained
from tfft.models.tokenizer_files import read_tokenizer, word_piece
from tfft.runs.build import build
from tfft.runs.predictor import Predictor
from tfft.serving.text_to_ids import TextToIds
from tfft.tasks.task import TASKS
from tfft.tasks.text_classification import TextClassification

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


@pytest.mark.parametrize(("pooling", "columns"), [("last", 1), ("mean", 2)])
def test_an_empty_text_without_special_tokens_has_an_answer(pooling, columns):
    keras.utils.set_random_seed(0)
    backbone, tokenizer = gpt2()
    pretrained = load_pretrained(backbone, tokenizer)
    task = TextClassification(text=("a", "b")[:columns], pooling=pooling)
    task, _ = task.suited_to(pretrained)
    built = build(task, METHODS.resolve("head"), pretrained, ("x", "y"), 0)
    predictor = Predictor(built, task, ("x", "y"))
    assert tokenizer.encode([""], None, 8)[0].token_ids == []

    def scores(texts):
        rows = [text if columns == 1 else (text, text) for text in texts]
        answers = predictor.predict(rows)
        return np.array([list(one["probabilities"].values()) for one in answers])

    alone = scores([""])
    assert np.isfinite(alone).all()
    # Beside longer texts, and in the graph that a server has, it is the same.
    texts = ["", "good abc", "a much longer text " * 3, ""]
    together = scores(texts)
    assert np.abs(together[[0, 3]] - alone).max() < 1e-6
    assert np.abs(together[1] - alone).max() > 1e-4
    graph = TextToIds(tokenizer, task.max_length)
    endpoints = task.served(("x", "y")).endpoints(built.network, graph)
    endpoint = endpoints["serving_default"]
    for given, expected in ((texts, together), ([""], alone)):
        answer = tf.function(endpoint.answer)(*[tf.constant(given)] * columns)
        served = answer["probabilities"]
        assert np.abs(served.numpy() - expected).max() < 1e-5


def test_words_and_questions_without_tokens_have_answers():
    pretrained = load_pretrained(*gpt2())
    for name, empty, expected in (
        ("token_classification", "", {"spans": [], "tags": []}),
        ("question_answering", ("", ""), {"answer": ""}),
    ):
        task, labels = TASKS.resolve(name), ("O", "B-X", "I-X")
        built = build(task, METHODS.resolve("head"), pretrained, labels, 0)
        (answer,) = Predictor(built, task, labels).predict([empty])
        assert expected.items() <= answer.items()
