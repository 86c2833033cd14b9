"""Starts a network's head from the checkpoint's head if the two match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfft.core.errors import DataError
from tfft.models.pretrained import Pretrained


def take_head(
    network: Any, pretrained: Pretrained, labels: Sequence[Any]
) -> tuple[str, ...]:
    """Copies the checkpoint's head into a network if both are the same head.

    They are when their layers have the same names and sizes, and their labels are the
    same or have no names in the checkpoint. If the labels are in another order, the
    weights are reordered.

    Args:
        network: The network with a new head.
        pretrained: Its backbone, with the head of the checkpoint if there is one.
        labels: The labels by id.

    Returns:
        A sentence that says whether the head was copied; nothing if the checkpoint has
        no head.

    Raises:
        DataError: When the head holds values that are not finite.
    """
    if not pretrained.head:
        return ()
    modules = {
        f"{module}.{part}": np.shape(value)
        for module, weights in network.head_modules.items()
        for part, value in weights.items()
    }
    theirs = {name: value.shape for name, value in pretrained.head.items()}
    if modules != theirs:
        return ("the checkpoint's head is not used: this task has a different head",)
    order = _order(_names(pretrained.config), [str(label) for label in labels])
    if order is None:
        names = ", ".join(_names(pretrained.config))
        return (f"the checkpoint's head is not used: its labels are {names}",)
    for variable, value in zip(
        network.head_variables, _as_keras(pretrained.head, order), strict=True
    ):
        variable.assign(value)
    return ("the head starts from the checkpoint's",)


def _names(config: Mapping[str, Any]) -> list[str]:
    """Returns the checkpoint's label names; an empty list if it has none."""
    names = config.get("id2label")
    if not isinstance(names, dict):
        return []
    keys = [str(index) for index in range(len(names))]
    found = {str(key): value for key, value in names.items()}
    if found.keys() != set(keys) or not all(isinstance(v, str) for v in found.values()):
        return []
    plain = [f"LABEL_{key}" for key in keys]
    ordered = [found[key] for key in keys]
    return [] if ordered == plain else ordered


def _order(theirs: list[str], ours: list[str]) -> list[int] | None:
    """Returns the checkpoint's index of each label, or None if the labels differ."""
    if not theirs or not ours:
        return []
    if sorted(theirs) != sorted(ours):
        return None
    return [theirs.index(label) for label in ours]


def _as_keras(head: Mapping[str, np.ndarray], order: list[int]) -> list[np.ndarray]:
    """Returns the kernel and bias of each layer, outputs in our order.

    Raises:
        DataError: For values that are not finite.
    """
    values = []
    for name in sorted(head, reverse=True):  # weight before bias
        value = np.asarray(head[name], "float32")
        if not np.isfinite(value).all():
            raise DataError(
                f"{name} holds values that are not finite",
                where="the checkpoint's head",
                fix="download the model again",
            )
        value = value[order] if order else value
        values.append(value.T)
    return values
