"""LoRA layers over each kind of wrapped layer, and what NumPy says they compute."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

ERF = np.vectorize(math.erf)


def normal_cdf(z):
    return 0.5 * (1 + ERF(z / math.sqrt(2)))


ACTIVATIONS = {
    "linear": (lambda z: z, np.ones_like),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "gelu": (
        lambda z: z * normal_cdf(z),
        lambda z: normal_cdf(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    ),
}


@dataclass
class NumpyLoRA:
    """y = act(x·W + b + s·(x·A)·B) on matrices, and its gradients, in float64."""

    kernel: np.ndarray
    bias: np.ndarray
    a: np.ndarray
    b: np.ndarray
    scale: float
    activation: str = "linear"

    def before(self, x):
        return x @ self.kernel + self.bias + self.scale * (x @ self.a @ self.b)

    def __call__(self, x):
        return ACTIVATIONS[self.activation][0](self.before(x))

    def gradients(self, x, upstream):
        """Returns the gradients of sum(upstream·y) for A and B."""
        down = upstream * ACTIVATIONS[self.activation][1](self.before(x))
        return self.scale * x.T @ down @ self.b.T, self.scale * (x @ self.a).T @ down

    def differences(self, x, upstream, name, step=1e-5):
        """Returns the gradient for A or B by central differences."""
        weight = getattr(self, name)
        result = np.zeros_like(weight)
        for index in np.ndindex(*weight.shape):
            kept, sums = weight[index], []
            for moved in (kept + step, kept - step):
                weight[index] = moved
                sums.append(np.sum(upstream * self(x)))
            weight[index] = kept
            result[index] = (sums[0] - sums[1]) / (2 * step)
        return result


@dataclass
class Case:
    """A kind of layer to wrap, with the shapes of its inputs and outputs."""

    equation: str
    inputs: tuple
    outputs: tuple

    def plain(self, activation="linear", dtype="float64"):
        """Returns the wrapped layer alone, built, with a bias other than zero."""
        import keras

        if self.equation:
            layer = keras.layers.EinsumDense(
                self.equation,
                (None, *self.outputs),
                bias_axes=self.equation[-len(self.outputs) :],
                activation=activation,
                dtype=dtype,
                name="query",
            )
        else:
            layer = keras.layers.Dense(
                *self.outputs, activation=activation, dtype=dtype, name="query"
            )
        layer.build((None, None, *self.inputs))
        generator = np.random.default_rng(3)
        layer.kernel.assign(generator.normal(0, 0.5, layer.kernel.shape))
        layer.bias.assign(generator.normal(0, 0.5, layer.bias.shape))
        return layer

    def adapted(self, activation="linear", dtype="float64", *, trained=True, **options):
        """Returns a LoRA layer, with a B other than zero when it is to be trained."""
        from tfft.methods.layers.lora import lora_around

        layer = lora_around(
            self.plain(activation, dtype),
            **{"rank": 3, "alpha": 6.0, "seed": 1, **options},
        )
        layer.build((None, None, *self.inputs))
        if trained:
            layer.lora_b.assign(
                np.random.default_rng(4).normal(0, 0.5, layer.lora_b.shape)
            )
        return layer

    def x(self, dtype="float64"):
        shape = (2, 3, *self.inputs)
        return np.random.default_rng(5).normal(0, 1, shape).astype(dtype)

    def oracle(self, layer, scale=2.0, activation="linear"):
        """Returns NumPy's LoRA with the weights of a layer."""
        size_in, size_out = math.prod(self.inputs), math.prod(self.outputs)

        def double(variable, *shape):
            return np.array(variable).astype("float64").reshape(shape)

        return NumpyLoRA(
            double(layer.layer.kernel, size_in, size_out),
            double(layer.layer.bias, size_out),
            double(layer.lora_a, size_in, -1),
            double(layer.lora_b, -1, size_out),
            scale,
            activation,
        )

    def rows(self, values):
        """Returns values as one matrix, a row for each position."""
        return np.asarray(values, "float64").reshape(6, -1)


CASES = {
    "dense": Case("", (6,), (5,)),
    "split-heads": Case("abc,cde->abde", (6,), (2, 4)),
    "join-heads": Case("abcd,cde->abe", (2, 3), (5,)),
}


@pytest.fixture(params=CASES)
def case(request):
    """Each kind of layer that LoRA wraps."""
    return CASES[request.param]
