"""Combines the outputs of several models into the output format of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from tfft.core.config import to_dict
from tfft.core.errors import ConfigError

Joining = Literal["average", "vote"]
Joiner = Callable[[Any, Joining], Any]
JOININGS: tuple[str, ...] = get_args(Joining)

_TINY = 1e-37
# Added in a vote to the label that wins a tie; it hardly changes the shares.
_TIE = 1e-6


# Options that affect training but not the answers.
_TRAINING_ONLY = ("class_weights", "label_smoothing", "focal_gamma", "dropout")


def join(task: Any, outputs: Any, how: Joining) -> Any:
    """Returns the outputs of an ensemble, in the format of one member's outputs.

    Args:
        task: The task of the members.
        outputs: The outputs of each member's network, shape (members, ...).
        how: `average` or `vote`.

    Raises:
        ConfigError: For a task whose outputs cannot be combined, or not in this way.
    """
    if task.generates:
        raise ConfigError(
            f"{task.name} has no ensembles",
            expected="a task with an answer for each row",
            fix='average the weights instead, how="soup"',
        )
    return type(task).joiner(outputs, how)


def agreed(tasks: Sequence[Any]) -> Any:
    """Returns the task of an ensemble from the tasks of its members.

    Raises:
        ConfigError: When options that affect the answers differ; names them.
    """
    first = tasks[0]
    averaged = [
        name
        for name in first.averaged
        if all(getattr(one, name, None) is not None for one in tasks)
    ]
    free = {*_TRAINING_ONLY, *averaged}
    for other in tasks[1:]:
        theirs = to_dict(other)
        differing = [
            name
            for name, value in to_dict(first).items()
            if name not in free and theirs.get(name, value) != value
        ]
        if type(other) is not type(first) or differing:
            raise ConfigError(
                f"the members' tasks differ: {', '.join(differing) or 'name'}",
                where="ensemble",
                expected=f"{first.name} with the same options",
                fix="train the members for the same task on the same rows",
            )
    means = {
        name: tuple(np.mean([getattr(one, name) for one in tasks], axis=0).tolist())
        for name in averaged
    }
    return replace(first, **means) if means else first


def join_choices(outputs: Any, how: Joining) -> Any:
    """Returns logits whose softmax is the members' mean probability, or their votes.

    Args:
        outputs: Logits, shape (members, ..., classes).
        how: `vote` gives each label the share of the members that choose it; the
            higher mean probability breaks ties.

    Returns:
        Shape (..., classes).

    >>> import numpy as np
    >>> logits = np.log(np.array([[[0.9, 0.1]], [[0.4, 0.6]], [[0.4, 0.6]]]))
    >>> for how in ("average", "vote"):
    ...     print(np.exp(join_choices(logits, how)).round(4).tolist())
    [[0.5667, 0.4333]]
    [[0.3333, 0.6667]]
    """
    from keras import ops

    mean = ops.mean(ops.softmax(outputs, axis=-1), axis=0)
    if how == "vote":
        labels = {"num_classes": outputs.shape[-1], "dtype": mean.dtype}
        chosen = ops.one_hot(ops.argmax(outputs, axis=-1), **labels)
        votes = ops.mean(chosen, axis=0)
        leads = ops.equal(votes, ops.max(votes, axis=-1, keepdims=True))
        winner = ops.argmax(ops.where(leads, mean, -1.0), axis=-1)
        mean = (votes + _TIE * ops.one_hot(winner, **labels)) / (1 + _TIE)
    return ops.log(ops.maximum(mean, _TINY))


def join_yes_or_no(outputs: Any, how: Joining) -> Any:
    """Returns logits whose sigmoid is the members' mean probability.

    Args:
        outputs: Logits, shape (members, ..., labels).
        how: `average`.

    Raises:
        ConfigError: For votes.
    """
    from keras import ops

    _only_average(how)
    yes = ops.mean(ops.sigmoid(outputs), axis=0)
    no = ops.mean(
        ops.sigmoid(-outputs), axis=0
    )  # 1 - yes would lose small values to rounding
    return ops.log(ops.maximum(yes, _TINY)) - ops.log(ops.maximum(no, _TINY))


def join_numbers(outputs: Any, how: Joining) -> Any:
    """Returns the mean of the members' outputs.

    Args:
        outputs: Shape (members, ...).
        how: `average`.

    Raises:
        ConfigError: For votes.
    """
    from keras import ops

    _only_average(how)
    return ops.mean(outputs, axis=0)


def _only_average(how: Joining) -> None:
    if how != "average":
        raise ConfigError(
            f"how={how!r} for a task without one label a row or a word",
            where="ensemble",
            expected="average",
            fix='use how="average"',
        )
