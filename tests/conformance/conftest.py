"""What the contracts share."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conformance.table import METHOD_TABLE, resolve
from tfft.models.architecture import architecture_of


def pytest_generate_tests(metafunc):
    """Runs a test that takes `name` for every method with an entry."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", METHOD_TABLE)


@pytest.fixture
def apply():
    """Applies a method to a backbone, with random values in what it trains."""

    def make(name, backbone, *, trained=True, seed=0, **changes):
        method = resolve(name, **changes)
        adapter = method.apply(backbone, architecture_of(backbone), seed)
        if trained:
            move(adapter)
        return adapter

    return make


def move(adapter, seed=7):
    """Gives everything that a method trains another value, as training would."""
    generator = np.random.default_rng(seed)
    for variable in adapter.trained:
        moved = np.asarray(variable.value) + generator.normal(0, 0.1, variable.shape)
        variable.assign(moved)


@pytest.fixture
def states(make_batch):
    """Returns the states of a backbone for a batch, padding left out."""
    batch = make_batch()

    def compute(backbone, call=None):
        inputs = {name: batch[name] for name in backbone.input if name in batch}
        outputs = (call or backbone)(inputs)
        sequence = architecture_of(backbone).sequence(outputs)
        return np.asarray(sequence, "float32")[batch["padding_mask"] == 1]

    return compute


@pytest.fixture
def decoders():
    """Makes tiny GPT-2 and Llama backbones."""
    import keras
    import keras_hub

    from tests.fixtures.bert import VOCABULARY

    def make(family):
        keras.utils.set_random_seed(0)
        sizes = {
            "vocabulary_size": len(VOCABULARY),
            "num_layers": 2,
            "hidden_dim": 16,
            "intermediate_dim": 32,
            "dropout": 0.0,
        }
        if family == "gpt2":
            return keras_hub.models.GPT2Backbone(
                num_heads=2, max_sequence_length=16, **sizes
            )
        return keras_hub.models.LlamaBackbone(
            num_query_heads=4, num_key_value_heads=2, **sizes
        )

    return make
