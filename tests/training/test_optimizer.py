"""The optimizers against their formulas and against Keras' own."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.core.errors import ConfigError
from tfft.training.averages import OnAverage, average_in_place
from tfft.training.names import OPTIMIZERS
from tfft.training.optimizer import check_optimizer, make_optimizer, own_rate
from tfft.training.warmup_decay import WarmupDecay

PLAIN = {
    "adamw": keras.optimizers.AdamW,
    "adam": keras.optimizers.Adam,
    "sgd": lambda rate, **more: keras.optimizers.SGD(rate, momentum=0.9, **more),
    "adafactor": keras.optimizers.Adafactor,
    "lion": keras.optimizers.Lion,
    "muon": lambda rate, weight_decay: keras.optimizers.Muon(
        rate, weight_decay=weight_decay, adam_weight_decay=weight_decay
    ),
}


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


def make(variables, kind="adamw", **changes):
    rate = WarmupDecay(0.1, 10, 3, "cosine")
    options = {"learning_rate": rate, "weight_decay": 0.2, **changes}
    return make_optimizer(kind, variables, **options)


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
    from tfft.methods.layers.lora import LoRADense

    layer = LoRADense(keras.layers.Dense(3), rank=2)
    layer.build((None, 4))
    layer.lora_b.assign(np.ones((2, 3)))
    before = [np.array(v) for v in layer.adapter_variables]
    optimizer = make(layer.adapter_variables, learning_rate=0.1)
    zeros = [np.zeros_like(value) for value in before]
    optimizer.apply_gradients(zip(zeros, layer.adapter_variables, strict=True))
    for variable, value in zip(layer.adapter_variables, before, strict=True):
        np.testing.assert_allclose(np.array(variable), value * 0.98, rtol=1e-6)


@pytest.mark.parametrize(
    "factors", [{}, {"kernel": 0.25, "embeddings": 0.5, "bias": 0}]
)
def test_steps_are_those_of_adamw_in_numpy(factors):
    variables = trained_variables()
    paths = {v.path: factors[v.name] for v in variables if v.name in factors}
    optimizer = make(variables, multipliers=paths)
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
            own = rate * factors.get(variables[i].name, 1)
            decay = 0.2 if variables[i].name in ("kernel", "embeddings") else 0.0
            means[i] = 0.9 * means[i] + 0.1 * gradient
            squares[i] = 0.999 * squares[i] + 0.001 * gradient.astype("float64") ** 2
            unbias = np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            # Epsilon beside the root of the biased mean, "epsilon hat" of the paper.
            update = unbias * means[i] / (np.sqrt(squares[i]) + 1e-7)
            values[i] = values[i] * (1 - own * decay) - own * update
    for variable, value in zip(variables, values, strict=True):
        # 5e-6: float32, where 1 - 0.999 is off by 2e-5 of itself, in steps of 0.1.
        np.testing.assert_allclose(np.array(variable), value, rtol=0, atol=5e-6)


def test_optimizer_comes_built_so_that_a_conditional_can_use_it():
    variables = trained_variables()
    optimizer = make(variables)
    assert optimizer.built
    assert len(optimizer.variables) >= 1 + 2 * len(variables)


def steps(optimizer, variables, count=4, compiled=None):
    """Applies the same random gradients; returns the weights after each step."""

    def apply(gradients):
        optimizer.apply(gradients, variables)

    if compiled is not None:
        apply = tf.function(apply, jit_compile=compiled)
    generator, seen = np.random.default_rng(2), []
    for _ in range(count):
        apply([generator.normal(0, 1, v.shape).astype("float32") for v in variables])
        seen.append([np.array(v) for v in variables])
    return seen


def assert_same(some, others, atol):
    for mine, theirs in zip(some, others, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def matrices():
    """Returns variables that every optimizer treats alike whatever their names."""
    return [v for v in trained_variables() if v.name in ("kernel", "embeddings")]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_keras_own_with_its_decay(name):
    mine, theirs = matrices(), matrices()
    decay = {} if name == "adam" else {"weight_decay": 0.2}
    # 1e-6: Keras' decay is the same product in another order.
    assert_same(
        steps(make(mine, name, learning_rate=0.01), mine),
        steps(PLAIN[name](0.01, **decay), theirs),
        atol=1e-6,
    )


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_factor_is_a_learning_rate_of_that_variables_own(name, compiled):
    """The oracle: two optimizers with a rate each."""
    mine, slow, fast = matrices(), matrices(), matrices()
    factors = {mine[0].path: 0.25}
    both = make(mine, name, learning_rate=0.02, multipliers=factors)
    both = steps(both, mine, compiled=compiled)
    slow = steps(make(slow, name, learning_rate=0.005), slow)
    fast = steps(make(fast, name, learning_rate=0.02), fast)
    # 2e-6: float32, fused otherwise when compiled; Muon sums longest.
    atol = 2e-5 if name == "muon" else 2e-6
    assert_same([one[:1] for one in both], [one[:1] for one in slow], atol)
    assert_same([one[1:] for one in both], [one[1:] for one in fast], atol)


def test_options_of_the_keras_class_are_taken():
    mine, theirs = matrices(), matrices()
    optimizer = make(
        mine,
        {"name": "sgd", "nesterov": True, "momentum": 0.5},
        learning_rate=0.1,
        weight_decay=0,
    )
    plain = keras.optimizers.SGD(0.1, momentum=0.5, nesterov=True)
    assert_same(steps(optimizer, mine), steps(plain, theirs), atol=1e-7)


def test_a_keras_optimizer_is_a_pattern_for_a_new_one():
    given = keras.optimizers.RMSprop(0.03, rho=0.5, weight_decay=0.1)
    plain = keras.optimizers.RMSprop(0.03, rho=0.5, weight_decay=0.1)
    assert own_rate(given) == pytest.approx(0.03)
    mine, theirs = matrices(), matrices()
    optimizer = make(mine, given, learning_rate=own_rate(given), weight_decay=9)
    assert_same(steps(optimizer, mine), steps(plain, theirs), atol=1e-6)
    assert not given.built


def test_the_schedule_of_a_keras_optimizer_is_its_own():
    given = keras.optimizers.Adam(WarmupDecay(1.0, 10, 2, "linear"))
    assert [float(own_rate(given)(step)) for step in (0, 2, 6)] == [0.5, 1.0, 0.5]
    assert own_rate("adamw") is None


def test_patterns_spare_further_variables_from_decay():
    variables = trained_variables()
    kernel = np.array(variables[0])
    optimizer = make(variables, no_decay=("embeddings",), learning_rate=0.1)
    embeddings = np.array(variables[-1])
    optimizer.apply([np.zeros(v.shape, "float32") for v in variables], variables)
    np.testing.assert_array_equal(np.array(variables[-1]), embeddings)
    np.testing.assert_allclose(np.array(variables[0]), kernel * 0.98, rtol=1e-6)


def test_muon_leaves_output_layers_to_adam():
    mine, theirs = matrices(), matrices()
    outputs = [variable.path for variable in mine]
    optimizer = make(mine, "muon", learning_rate=0.01, outputs=outputs, weight_decay=0)
    plain = keras.optimizers.Adam(0.01)
    assert_same(steps(optimizer, mine), steps(plain, theirs), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("adamm", {}, "unknown optimizer .adamm.*one of: adamw, adam, sgd.*adam"),
        ({"momentum": 1}, {}, "unknown optimizer"),
        ({"name": "sgd", "momentun": 1}, {}, 'unknown option momentun.*"momentum"'),
        ({"name": "sgd", "momentum": "x"}, {}, "SGD.*must be a float"),
        ({"name": "sgd", "learning_rate": 1}, {}, "unknown option learning_rate"),
        (keras.optimizers.Adam(use_ema=True), {}, "use_ema=True.*option ema"),
        (keras.optimizers.Adam(gradient_accumulation_steps=2), {}, "leave it out"),
        (keras.optimizers.Muon(weight_decay=0.1), {}, "0.1 and .*0.004 differ"),
        ("adamw", {"multipliers": {"nowhere": 1.0}}, "multiplier 1.0 of nowhere"),
        ("adamw", {"multipliers": {"kernel": -1.0}}, "multiplier -1.0 of kernel"),
        ("adamw", {"no_decay": ("nothing",)}, "'nothing' matches no|nothing.*matches"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind, changes, message):
    with pytest.raises(ConfigError, match=message):
        make(trained_variables(), kind, **changes)
    with pytest.raises(ConfigError, match=message):
        check_optimizer(kind, trained_variables(), **changes)


class Averaged(keras.Model):
    """What a callback needs of a model: variables, and an optimizer."""

    def __init__(self, variables, optimizer):
        super().__init__()
        self.mine, self.optimizer = variables, optimizer

    trainable_variables = property(lambda self: self.mine)


@pytest.mark.parametrize("compiled", [None, False, True])
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_average_is_numpys(name, compiled):
    variables = matrices()
    optimizer = make(variables, name, ema=0.9)
    model = Averaged(variables, optimizer)
    start = [np.array(v) for v in variables]
    with average_in_place(model):  # none yet
        assert_same([[np.array(v) for v in variables]], [start], 0)
    seen = steps(optimizer, variables, 6, compiled)
    expected = [value.astype("float64") for value in seen[0]]
    for values in seen[1:]:
        expected = [0.9 * a + 0.1 * b for a, b in zip(expected, values, strict=True)]
    with average_in_place(model):
        # 1e-6: float32, six steps.
        assert_same([[np.array(v) for v in variables]], [expected], 1e-6)
    assert_same([[np.array(v) for v in variables]], seen[-1:], 0)


def test_the_average_is_among_the_variables_that_are_saved():
    variables = matrices()
    optimizer = make(variables, ema=0.9)
    steps(optimizer, variables)
    values = [np.array(v) for v in optimizer.variables]
    again = make(variables, ema=0.9)
    for variable, value in zip(again.variables, values, strict=True):
        variable.assign(value)
    models = [Averaged(variables, one) for one in (optimizer, again)]
    averages = []
    for model in models:
        with average_in_place(model):
            averages.append([np.array(v) for v in variables])
    assert_same(averages[:1], averages[1:], 0)
    assert np.abs(averages[0][0] - np.array(variables[0])).max() > 1e-3


def test_weights_come_back_when_a_callback_fails():
    variables = matrices()
    model = Averaged(variables, make(variables, ema=0.9))
    last = steps(model.optimizer, variables)[-1]

    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert self.model is model
            assert np.abs(np.array(variables[0]) - last[0]).max() > 1e-3
            raise KeyboardInterrupt

    callback = OnAverage([Fails()])
    callback.set_model(model)
    with pytest.raises(KeyboardInterrupt):
        callback.on_epoch_end(0, {})
    assert_same([[np.array(v) for v in variables]], [last], 0)


REPLICAS = """
    import numpy as np, tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    import keras
    from tfft.training.averages import average_in_place
    from tfft.training.optimizer import make_optimizer
    from tfft.training.warmup_decay import WarmupDecay

    def train(strategy):
        with strategy.scope():
            model = keras.Sequential([
                keras.Input((3,)),
                keras.layers.Dense(4, kernel_initializer=start(0), name="low"),
                keras.layers.Dense(1, kernel_initializer=start(1), name="high"),
            ])
            optimizer = make_optimizer(
                "adamw", model.trainable_variables,
                learning_rate=WarmupDecay(0.1, 12, 2, "linear"),
                weight_decay=0.3, ema=0.9,
                multipliers={v.path: 0.25 for v in model.layers[0].weights})
            model.compile(optimizer, "mse", jit_compile=False)
        data = np.random.default_rng(0).normal(0, 1, (16, 4)).astype("float32")
        model.fit(data[:, :3], data[:, 3:], batch_size=8, epochs=3, shuffle=False,
                  verbose=0)
        assert abs(float(optimizer.learning_rate) - 0.06) < 1e-6  # 6 of 12 steps
        return [np.array(v) for v in model.trainable_variables]

    def start(seed):
        return keras.initializers.RandomNormal(seed=seed)

    one = train(tf.distribute.get_strategy())
    both = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    print("difference", max(np.abs(a - b).max() for a, b in zip(one, both)))
"""


def test_two_replicas_have_the_rates_decay_and_average_of_one():
    command = [sys.executable, "-c", textwrap.dedent(REPLICAS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    # 1e-6: sums of gradients in another order.
    assert float(done.stdout.split("difference")[1]) < 1e-6
