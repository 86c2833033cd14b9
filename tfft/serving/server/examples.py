"""The Classify and Regress requests, whose signatures read tf.train.Example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfft.core.errors import shorten
from tfft.serving.server.json_tensors import to_bytes
from tfft.serving.server.refusals import InvalidRequestError, ModelFailureError
from tfft.serving.server.signatures import Arrays, Signature

# The name of their only input, by TF Serving's convention.
_INPUT = "inputs"


def arrays_of(serialized: list[bytes], signature: Signature) -> Arrays:
    """Returns serialized examples as the signature's input.

    Raises:
        InvalidRequestError: Without examples, or for a signature that takes none.
    """
    spec = signature.inputs.get(_INPUT)
    if len(signature.inputs) != 1 or spec is None or spec.dtype != tf.string:
        raise InvalidRequestError(
            f"signature {signature.name!r} takes {', '.join(signature.inputs)}",
            expected=f"{_INPUT!r}, serialized tf.train.Example",
            fix="use predict, or another signature_name",
        )
    if not serialized:
        raise InvalidRequestError("no examples given", expected="one or more")
    return {_INPUT: np.array(serialized, object)}


def examples_of_json(request: Mapping[str, Any]) -> list[bytes]:
    """Returns the examples of a REST request, with the context in each.

    Raises:
        InvalidRequestError: For values that do not fit a tf.train.Example.
    """
    examples, context = request.get("examples"), request.get("context", {})
    if not isinstance(examples, list) or not isinstance(context, dict):
        wrong = context if isinstance(examples, list) else examples
        raise InvalidRequestError(
            f"examples or context is {shorten(wrong)}",
            expected='{"examples": [{...}], "context": {...}}',
        )
    return [_example(number, one, context) for number, one in enumerate(examples)]


def examples_of_proto(given: Any) -> list[bytes]:
    """Returns the examples of a gRPC request, with the context in each."""
    if given.WhichOneof("kind") == "example_list_with_context":
        listed = given.example_list_with_context
        # Joining the bytes of two messages merges them.
        common = listed.context.SerializeToString()
        return [common + one.SerializeToString() for one in listed.examples]
    return [one.SerializeToString() for one in given.example_list.examples]


def _example(number: int, given: Any, context: Mapping[str, Any]) -> bytes:
    twice = set(given) & set(context) if isinstance(given, dict) else set()
    if not isinstance(given, dict) or twice:
        raise InvalidRequestError(
            f"example {number} is {shorten(given)}",
            expected="an object of features that are not in the context",
        )
    features = {**context, **given}
    try:
        feature = {name: _feature(value) for name, value in features.items()}
        features = tf.train.Features(feature=feature)
        return tf.train.Example(features=features).SerializeToString()
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(
            f"example {number}: {error}",
            expected="numbers or texts, or lists of one of them",
        ) from error


def _feature(value: Any) -> tf.train.Feature:
    values = value if isinstance(value, list) else [value]
    if all(type(one) is int for one in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if all(type(one) in (int, float) for one in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    content = [to_bytes(one) for one in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=content))


def classes_of(outputs: Arrays, rows: int) -> list[list[tuple[str, float]]]:
    """Returns label and score of each class of each row.

    Raises:
        InvalidRequestError: For a signature that does not classify.
        ModelFailureError: For outputs of the wrong shape.
    """
    shapes = {
        name: outputs[name].shape for name in ("classes", "scores") if name in outputs
    }
    if not shapes:
        raise _other_kind(outputs, "classes or scores")
    shape = next(iter(shapes.values()))
    if len(shape) != 2 or shape[0] != rows or set(shapes.values()) != {shape}:
        raise ModelFailureError(f"outputs of {shapes}", expected=f"({rows}, classes)")
    labels = outputs.get("classes", np.full(shape, b"", object))
    scores = outputs.get("scores", np.zeros(shape, "float32"))
    return [
        [(label.decode(), float(score)) for label, score in zip(*pair, strict=True)]
        for pair in zip(labels, scores, strict=True)
    ]


def values_of(outputs: Arrays, rows: int) -> list[float]:
    """Returns the value of each row.

    Raises:
        InvalidRequestError: For a signature that does not regress.
        ModelFailureError: For outputs of the wrong shape.
    """
    if "outputs" not in outputs:
        raise _other_kind(outputs, "outputs")
    values = outputs["outputs"]
    if values.shape not in ((rows,), (rows, 1)):
        raise ModelFailureError(
            f"outputs of shape {values.shape}", expected=f"({rows},)"
        )
    return [float(value) for value in values.ravel()]


def _other_kind(outputs: Arrays, expected: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"the signature's outputs are {', '.join(outputs)}",
        expected=expected,
        fix="use predict, or another signature_name",
    )
