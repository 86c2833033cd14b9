"""What the tests of adapter folders share."""

import numpy as np
import pytest

from tfft.methods.method import METHODS
from tfft.models.architecture import architecture_of

HIDDEN = 16


@pytest.fixture
def make_adapter():
    """Applies LoRA to a backbone, with random A and B."""

    def apply(backbone, **options):
        options = {"rank": 3, "alpha": 6.0, "target": ("all-linear",), **options}
        method = METHODS.resolve("lora", options)
        adapter = method.apply(backbone, architecture_of(backbone), 0)
        generator = np.random.default_rng(7)
        for variable in adapter.variables:
            variable.assign(generator.normal(0, 0.3, variable.shape))
        return adapter

    return apply


@pytest.fixture
def head():
    """A classifier of three classes as PyTorch keeps it."""
    generator = np.random.default_rng(1)
    return {
        "classifier": {
            "weight": generator.normal(0, 1, (3, HIDDEN)).astype("float32"),
            "bias": generator.normal(0, 1, 3).astype("float32"),
        }
    }
