"""The learning rate over the steps, and AdamW, against their formulas."""

import keras
import numpy as np
import pytest

from tfft.training.optimizer import WarmupDecay, adamw

PEAK, STEPS = 3e-3, 20


def closed_form(kind, step, warmup):
    if step < warmup:
        return PEAK * (step + 1) / warmup
    done = min((step - warmup) / (STEPS - warmup), 1.0)
    return {
        "cosine": PEAK * (1 + np.cos(np.pi * done)) / 2,
        "linear": PEAK * (1 - done),
        "constant": PEAK,
    }[kind]


@pytest.mark.parametrize("kind", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_schedule_follows_its_closed_form(kind, warmup):
    schedule = WarmupDecay(PEAK, STEPS, warmup, kind)
    steps = range(STEPS + 3)
    expected = [closed_form(kind, step, warmup) for step in steps]
    # 1e-9: float32 cosines times a peak of 3e-3.
    np.testing.assert_allclose(
        [float(schedule(step)) for step in steps], expected, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    ("kind", "end"), [("cosine", 0), ("linear", 0), ("constant", 1)]
)
def test_schedule_rises_to_its_peak_and_falls_to_its_end(kind, end):
    schedule = WarmupDecay(PEAK, STEPS, 4, kind)
    np.testing.assert_allclose(float(schedule(3)), PEAK, rtol=1e-6)
    np.testing.assert_allclose(float(schedule(STEPS)), end * PEAK, atol=1e-9)


def test_a_training_that_is_all_warm_up_stays_finite():
    schedule = WarmupDecay(PEAK, 4, 4, "cosine")
    rates = [float(schedule(step)) for step in range(5)]
    np.testing.assert_allclose(
        rates, PEAK * np.array([0.25, 0.5, 0.75, 1, 1]), rtol=1e-6
    )


def test_schedule_survives_its_configuration():
    schedule = WarmupDecay(PEAK, STEPS, 5, "linear")
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, WarmupDecay)
    assert again.get_config() == schedule.get_config()
    assert float(again(11)) == float(schedule(11))


def trained_variables():
    """Returns the variables of a dense layer, a norm and an embedding, not zero."""
    layers = [
        keras.layers.Dense(3),
        keras.layers.LayerNormalization(),
        keras.layers.Embedding(5, 3),
    ]
    for layer in layers:
        layer.build((None, 4))
    variables = [variable for layer in layers for variable in layer.weights]
    generator = np.random.default_rng(0)
    for variable in variables:
        variable.assign(generator.normal(0, 1, variable.shape))
    return variables


def make(variables, **changes):
    options = {
        "learning_rate": 0.1,
        "steps": 10,
        "warmup": 0.3,
        "schedule": "cosine",
        "weight_decay": 0.2,
    }
    return adamw(variables, **{**options, **changes})


def test_without_gradients_kernels_decay_and_biases_and_norms_do_not():
    variables = trained_variables()
    assert [v.name for v in variables] == [
        "kernel",
        "bias",
        "gamma",
        "beta",
        "embeddings",
    ]
    before = [np.array(variable) for variable in variables]
    optimizer = make(variables)
    shrunk = 1.0
    for step in range(4):
        zeros = [np.zeros_like(value) for value in before]
        optimizer.apply_gradients(zip(zeros, variables, strict=True))
        shrunk *= 1 - 0.2 * float(WarmupDecay(0.1, 10, 3, "cosine")(step))
    assert shrunk < 0.95
    for variable, value in zip(variables, before, strict=True):
        if variable.name in ("kernel", "embeddings"):
            # 1e-6: four roundings in float32.
            np.testing.assert_allclose(np.array(variable), value * shrunk, rtol=1e-6)
        else:
            np.testing.assert_array_equal(np.array(variable), value)


def test_lora_weights_decay():
    from tfft.adapters.layers.lora import LoRADense

    layer = LoRADense(keras.layers.Dense(3), rank=2)
    layer.build((None, 4))
    layer.lora_b.assign(np.ones((2, 3)))
    before = [np.array(v) for v in layer.adapter_variables]
    optimizer = make(layer.adapter_variables, warmup=0.0)
    zeros = [np.zeros_like(value) for value in before]
    optimizer.apply_gradients(zip(zeros, layer.adapter_variables, strict=True))
    for variable, value in zip(layer.adapter_variables, before, strict=True):
        np.testing.assert_allclose(np.array(variable), value * 0.98, rtol=1e-6)


def test_steps_are_those_of_adamw_in_numpy():
    variables = trained_variables()
    optimizer = make(variables)
    values = [np.array(v, "float64") for v in variables]
    means = [np.zeros_like(v) for v in values]
    squares = [np.zeros_like(v) for v in values]
    generator = np.random.default_rng(1)
    for step in range(5):
        gradients = [generator.normal(0, 1, v.shape).astype("float32") for v in values]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        rate = 0.1 * (
            (step + 1) / 3 if step < 3 else (1 + np.cos(np.pi * (step - 3) / 7)) / 2
        )
        for i, gradient in enumerate(gradients):
            decay = 0.2 if variables[i].name in ("kernel", "embeddings") else 0.0
            means[i] = 0.9 * means[i] + 0.1 * gradient
            squares[i] = 0.999 * squares[i] + 0.001 * gradient.astype("float64") ** 2
            unbias = np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            # Epsilon beside the root of the biased mean, "epsilon hat" of the paper.
            update = unbias * means[i] / (np.sqrt(squares[i]) + 1e-7)
            values[i] = values[i] * (1 - rate * decay) - rate * update
    for variable, value in zip(variables, values, strict=True):
        # 5e-6: float32, where 1 - 0.999 is off by 2e-5 of itself, in steps of 0.1.
        np.testing.assert_allclose(np.array(variable), value, rtol=0, atol=5e-6)


def test_optimizer_comes_built_so_that_a_conditional_can_use_it():
    variables = trained_variables()
    optimizer = make(variables)
    assert optimizer.built
    assert len(optimizer.variables) >= 1 + 2 * len(variables)
