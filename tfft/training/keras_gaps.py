"""What Keras gets wrong under `tf.distribute`, mended here and nowhere else.

`tests/training/test_keras_gaps.py` fails when Keras has mended it itself.
"""

from __future__ import annotations

from typing import Any

import keras


class DistributedModel(keras.Model):
    """A model that is built by hand and whose `fit` works on several workers.

    Under `MultiWorkerMirroredStrategy` Keras 3.15 fails in `fit` before the first
    step (keras#20585): it builds models on symbolic values of a batch, and reduces
    the batch, a dict of values per replica, as if it were one tensor.
    """

    def _maybe_symbolic_build(self, *args: Any, **options: Any) -> None:
        """Builds nothing: the subclass is built when it is made."""
