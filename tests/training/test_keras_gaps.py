"""What Keras gets wrong is still wrong; once it is not, our mending can go."""

import sys

from tfft.cli.cluster import launch

PROGRAM = """
import sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras
with strategy.scope():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
data = tf.data.Dataset.from_tensors((tf.ones((4, 1)), tf.ones((4, 1))))
try:
    model.fit(data, verbose=0)
except ValueError:
    sys.exit(41)
sys.exit(42)
"""


def test_fit_still_fails_on_several_workers():
    """Keras 3.15; keras#20585. When this fails, `keras_gaps.py` may be needless."""
    assert launch([sys.executable, "-c", PROGRAM], 2) == 41
