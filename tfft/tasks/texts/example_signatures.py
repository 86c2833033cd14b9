"""Signatures of TF Serving's Classify and Regress, which read tf.train.Example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfft.tasks.endpoint import TEXTS, Endpoint, Endpoints


def classify(answering: Endpoint, labels: tuple[Any, ...]) -> Endpoints:
    """Returns `classify`: each label with its probability.

    Args:
        answering: From texts to `probabilities`, shape (batch, labels).
        labels: The labels by id.
    """
    import tensorflow as tf

    names = tf.constant([[str(label) for label in labels]])

    def named(outputs: dict[str, Any]) -> dict[str, Any]:
        scores = outputs["probabilities"]
        return {
            "classes": tf.repeat(names, tf.shape(scores)[0], axis=0),
            "scores": scores,
        }

    return {"classify": _of_examples(answering, named)}


def regress(answering: Endpoint) -> Endpoints:
    """Returns `regress`: the number of each text.

    Args:
        answering: From texts to `value`, shape (batch,).
    """

    def named(outputs: dict[str, Any]) -> dict[str, Any]:
        return {"outputs": outputs["value"]}

    return {"regress": _of_examples(answering, named)}


def _of_examples(
    answering: Endpoint, convert: Callable[[dict[str, Any]], dict[str, Any]]
) -> Endpoint:
    """Returns an endpoint whose `inputs` hold an endpoint's texts as features."""
    import tensorflow as tf

    features = dict.fromkeys(answering.inputs, tf.io.FixedLenFeature([], tf.string))

    def compute(inputs: Any) -> dict[str, Any]:
        found = tf.io.parse_example(inputs, features)
        return convert(answering.compute(*(found[name] for name in answering.inputs)))

    return Endpoint({"inputs": TEXTS}, compute)
