"""What the tests of the train step share."""

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture
def tensors_of():
    """Turns a batch into tensors."""

    def convert(batch):
        return {name: tf.constant(value) for name, value in batch.items()}

    return convert


@pytest.fixture
def row_subset():
    """Takes some rows of a batch."""

    def take(batch, rows):
        return {name: value[rows] for name, value in batch.items()}

    return take


@pytest.fixture
def joined():
    """Puts the rows of batches below each other."""

    def join(*batches):
        return {
            name: np.concatenate([batch[name] for batch in batches])
            for name in batches[0]
        }

    return join
