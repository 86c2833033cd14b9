"""Every field of every method's configuration changes what training sees."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.conftest import move
from tests.conformance.table import METHOD_TABLE, resolve
from tfft.models.architecture import architecture_of


@pytest.fixture
def outcome(make_backbone, make_batch):
    """Returns weights, outputs and gradients of a method, by name."""
    upstream = np.random.default_rng(2).normal(0, 1, (3, 7, 16)).astype("float32")
    batches = [make_batch(seed=seed) for seed in (0, 1)]

    def compute(name, **options):
        backbone = make_backbone()
        method = resolve(name, **options)
        adapter = method.apply(backbone, architecture_of(backbone), 0)

        def outputs(batch):
            inputs = {key: batch[key] for key in backbone.input}
            return backbone(inputs, training=True)["sequence_output"]

        def gradients(batch, variables):
            values = [variable.value for variable in variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(values)
                loss = tf.reduce_sum(upstream * outputs(batch))
            return tape.gradient(loss, values)

        method.look(adapter, gradients, batches)
        found = {}
        for one in adapter.injected:
            for key, variable in one.layer.saved_variables.items():
                found[f"{one.place.name}.{key}"] = np.array(variable)
        move(adapter)
        for state in backbone.variables:
            if "seed_generator" in state.path:
                state.assign([3, 0])
        found["outputs"] = np.array(outputs(batches[0]))
        trained = [v for v in adapter.trained if "pooled" not in v.path]
        for variable, gradient in zip(
            trained, gradients(batches[0], trained), strict=True
        ):
            found[variable.path] = np.array(tf.convert_to_tensor(gradient))
        for path, factor in adapter.learning_rate_multipliers.items():
            found[f"{path} rate"] = np.array(factor)
        return found

    return compute


def differs(one, two):
    return one.keys() != two.keys() or any(
        one[key].shape != two[key].shape or not np.array_equal(one[key], two[key])
        for key in one
    )


def test_every_field(name, outcome):
    fields = METHOD_TABLE[name].fields
    if not fields:
        return
    plain = outcome(name)
    assert not differs(outcome(name), plain)  # or anything would pass
    for field, entry in fields.items():
        seen = [outcome(name, **entry.beside) if entry.beside else plain]
        for value in entry.values:
            found = outcome(name, **{**entry.beside, field: value})
            assert all(differs(found, other) for other in seen), f"{field}={value}"
            seen.append(found)
