"""A BERT from a Hugging Face folder computes what the papers' formulas say.

The oracle is NumPy in float64, written from the formulas and Hugging Face's tensor
names alone. The backbone computes in float32: its outputs are of the size of 1 after
layer norms, and some hundred roundings of 6e-8 stay below 1e-5.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.fixtures.bert import (
    HEADS,
    HIDDEN,
    LAYERS,
    bert_config,
    bert_tensors,
    write_bert,
)
from tests.fixtures.bert import random_batch as batch_of_ids
from tfft.models.pretrained import load_pretrained

TOLERANCE = 1e-5
ERF = np.vectorize(math.erf)


def erf_gelu(x):
    return x * 0.5 * (1 + ERF(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {
    "gelu": erf_gelu,
    "gelu_new": tanh_gelu,
    "gelu_pytorch_tanh": tanh_gelu,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
}


class NumpyBert:
    def __init__(self, tensors, act="gelu", epsilon=1e-12):
        self.tensors = {name: t.astype("float64") for name, t in tensors.items()}
        self.act, self.epsilon = ACTIVATIONS[act], epsilon

    def linear(self, x, name):
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return scaled * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def attention(self, x, mask, name):
        rows, length, _ = x.shape
        query, key, value = (
            self.linear(x, f"{name}.self.{part}")
            .reshape(rows, length, HEADS, HIDDEN // HEADS)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(HIDDEN // HEADS)
        scores = np.where(mask[:, None, None, :] == 1, scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        out = self.linear(mixed, f"{name}.output.dense")
        return self.norm(x + out, f"{name}.output.LayerNorm")

    def __call__(self, token_ids, segment_ids, padding_mask):
        table = "embeddings.{}_embeddings.weight".format
        x = self.tensors[table("word")][token_ids]
        x = x + self.tensors[table("position")][: token_ids.shape[1]]
        x = x + self.tensors[table("token_type")][segment_ids]
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(LAYERS):
            layer = f"encoder.layer.{i}"
            x = self.attention(x, padding_mask, f"{layer}.attention")
            inner = self.act(self.linear(x, f"{layer}.intermediate.dense"))
            inner = self.linear(inner, f"{layer}.output.dense")
            x = self.norm(x + inner, f"{layer}.output.LayerNorm")
        return x, np.tanh(self.linear(x[:, 0], "pooler.dense"))


def random_batch(rows=4, length=11, seed=0):
    generator = np.random.default_rng(seed)
    batch = batch_of_ids(rows, length, seed)
    real = generator.integers(1, length + 1, rows)
    real[0] = length
    batch["padding_mask"] = (np.arange(length) < real[:, None]).astype("int32")
    batch["segment_ids"] = generator.integers(0, 2, (rows, length), "int32")
    return batch


def assert_equal_outputs(backbone, oracle, batch):
    outputs = backbone(batch, training=False)
    sequence, pooled = oracle(**batch)
    real = batch["padding_mask"] == 1
    np.testing.assert_allclose(
        outputs["sequence_output"].numpy()[real], sequence[real], 0, TOLERANCE
    )
    np.testing.assert_allclose(outputs["pooled_output"].numpy(), pooled, 0, TOLERANCE)


@pytest.fixture(scope="module")
def backbone(bert_folder):
    return load_pretrained(bert_folder).backbone


@pytest.mark.parametrize(
    ("rows", "length", "seed"), [(1, 2, 0), (4, 11, 1), (8, 16, 2), (3, 64, 3)]
)
def test_outputs_are_those_of_the_formulas(backbone, rows, length, seed):
    batch = random_batch(rows, length, seed)
    assert_equal_outputs(backbone, NumpyBert(bert_tensors()), batch)


def test_padding_changes_nothing(backbone):
    batch = random_batch()
    other = dict(batch)
    hidden = batch["padding_mask"] == 0
    assert hidden.any()
    other["token_ids"] = np.where(hidden, 7, batch["token_ids"])
    expected = backbone(batch, training=False)["pooled_output"].numpy()
    found = backbone(other, training=False)["pooled_output"].numpy()
    # The masked scores underflow to a share of exactly 0.
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_the_activation_of_the_config_is_followed(tmp_path, act):
    tensors = bert_tensors(seed=1)
    folder = write_bert(tmp_path / "model", bert_config(hidden_act=act), tensors)
    backbone = load_pretrained(folder).backbone
    assert_equal_outputs(backbone, NumpyBert(tensors, act), random_batch(seed=4))


def test_the_two_forms_of_gelu_are_told_apart_by_these_tests():
    tensors, batch = bert_tensors(seed=1), random_batch(seed=4)
    erf, tanh = (NumpyBert(tensors, act)(**batch)[0] for act in ("gelu", "gelu_new"))
    assert np.abs(erf - tanh).max() > 10 * TOLERANCE


@pytest.mark.parametrize("epsilon", [1e-12, 1e-5, 1e-2])
def test_the_epsilon_of_the_config_is_followed(tmp_path, epsilon):
    tensors = bert_tensors(seed=2)
    folder = write_bert(
        tmp_path / "model", bert_config(layer_norm_eps=epsilon), tensors
    )
    backbone = load_pretrained(folder).backbone
    oracle = NumpyBert(tensors, epsilon=epsilon)
    assert_equal_outputs(backbone, oracle, random_batch(seed=5))
    if epsilon > 1e-3:
        other = NumpyBert(tensors)(**random_batch(seed=5))[0]
        found = oracle(**random_batch(seed=5))[0]
        assert np.abs(other - found).max() > 10 * TOLERANCE


def test_dropout_is_the_configs_unless_another_is_asked_for(tmp_path):
    import keras

    from tfft.compute.layers import spots

    config = bert_config(hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.2)
    folder = write_bert(tmp_path / "model", config)
    for asked, expected in ((None, {0.2, 0.3}), (0.0, {0.0}), (0.5, {0.5})):
        backbone = load_pretrained(folder, dropout=asked).backbone
        rates = {
            spot.layer.rate
            for spot in spots(backbone)
            if isinstance(spot.layer, keras.layers.Dropout)
        }
        assert rates == expected
