"""A network in two parts, cut at the latest point that training cannot change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tfft.compute.layers import spots


@dataclass(frozen=True)
class Split:
    """Two models that share the layers of a network.

    Attributes:
        prefix: Maps the inputs of the network to the list of tensors at the cut, in
            the order of `names`.
        rest: Maps a dict of the tensors at the cut, and of the inputs it still
            reads, to the outputs of the network.
        names: The names of the tensors at the cut.
        kernels: The share of the network's kernels that lies below the cut.
    """

    prefix: Any
    rest: Any
    names: tuple[str, ...]
    kernels: float

    @property
    def per_token(self) -> tuple[bool, ...]:
        """Whether each tensor at the cut has an axis of tokens."""
        return tuple(_has_tokens(tensor) for tensor in self.prefix.outputs)

    @property
    def sizes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each tensor at the cut for one token or one row."""
        return tuple(
            tuple(tensor.shape[1 + _has_tokens(tensor) :])
            for tensor in self.prefix.outputs
        )


def split_frozen(network: Any, *, despite_dropout: bool = False) -> Split | None:
    """Splits a network in two; returns None when its first kernel may change.

    The layers below the cut hold no trainable variable and draw no random numbers in
    training, so they give the same result for a row in each epoch. The cut is as late
    as possible: above the summary vector when that is frozen.

    Args:
        network: A Keras model; only a flat functional one can be cut.
        despite_dropout: Counts dropout as frozen, to find how far it lowers the cut.
    """
    import keras

    from tfft.compute.first_token_model import FirstTokenModel

    if not isinstance(network, keras.Model) or not hasattr(network, "operations"):
        return None
    cut = _cut(network, despite_dropout)
    if cut is None:
        return None
    features, inputs, below = cut
    if not any(_kernels(operation) for operation in below):
        return None
    taken = [*features, *inputs]
    whole = any(map(_has_tokens, features))
    return Split(
        prefix=FirstTokenModel(network.input, features, None if whole else network),
        rest=FirstTokenModel({t.name: t for t in taken}, network.output, network),
        names=tuple(tensor.name for tensor in features),
        kernels=sum(map(_kernels, below)) / sum(map(_kernels, network.operations)),
    )


def _cut(
    network: Any, despite_dropout: bool
) -> tuple[list[Any], list[Any], list[Any]] | None:
    """Returns the tensors at the cut, inputs read above it, operations below it."""
    inputs = {id(tensor) for tensor in network.inputs}
    fixed, seen = set(inputs), set(inputs)
    below, needed = [], {}
    for operation in network.operations:
        given, made = _tensors(operation.input), _tensors(operation.output)
        if all(id(tensor) in inputs for tensor in made):
            continue
        if any(id(tensor) not in seen for tensor in given):
            return None  # a layer called more than once; Keras tells the first call
        seen.update(map(id, made))
        known = [tensor for tensor in given if id(tensor) in fixed]
        if len(known) == len(given) and not _changes(operation, despite_dropout):
            fixed.update(map(id, made))
            below.append(operation)
        else:
            needed.update({id(tensor): tensor for tensor in known})
    features = [tensor for key, tensor in needed.items() if key not in inputs]
    if not features or not all(map(_can_be_kept, features)):
        return None
    return features, [needed[key] for key in needed if key in inputs], below


def _tensors(nested: Any) -> list[Any]:
    import keras

    return keras.tree.flatten(nested)


def _changes(operation: Any, despite_dropout: bool) -> bool:
    """Returns whether an operation may give something else in the next epoch."""
    if getattr(operation, "trainable_variables", ()):
        return True
    return not despite_dropout and any(True for _ in _random_states(operation))


def _random_states(operation: Any) -> Iterator[Any]:
    """Yields the states of an operation's random generators that are in use."""
    import keras

    if not isinstance(operation, keras.Layer):
        return
    layers = [operation, *(spot.layer for spot in spots(operation))]
    idle = {
        id(state)
        for layer in layers
        if isinstance(layer, keras.layers.Dropout) and not layer.rate
        for state in layer.variables
    }
    for variable in operation.variables:
        if "seed_generator" in variable.path and id(variable) not in idle:
            yield variable


def _kernels(operation: Any) -> int:
    """Returns the number of weights that an operation multiplies by."""
    weights = getattr(operation, "weights", ())
    return sum(math.prod(one.shape) for one in weights if one.name.endswith("kernel"))


def _has_tokens(tensor: Any) -> bool:
    return len(tensor.shape) > 1 and tensor.shape[1] is None


def _can_be_kept(tensor: Any) -> bool:
    """Returns whether a tensor has rows of one size, or tokens of one size."""
    return None not in tensor.shape[1 + _has_tokens(tensor) :]
