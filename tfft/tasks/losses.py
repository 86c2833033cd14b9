"""Cross-entropy over labels, with its three options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tfft.core.config import require
from tfft.core.errors import ConfigError, nearest, one_of, shorten

BALANCED = "balanced"


def cross_entropy(
    labels: Any,
    logits: Any,
    *,
    class_weights: Sequence[float] = (),
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
) -> tuple[Any, Any]:
    """Returns losses and weights: -w (1 - p)^g log p for the correct label.

    Args:
        labels: Ids, shape (...); negative ones get weight 0.
        logits: Shape (..., classes).
        class_weights: Factor of each class, in the loss and in the sum of weights that
            divides it, as in scikit-learn and PyTorch. None means 1 for all.
        label_smoothing: Share e of the correct label's weight that is spread evenly
            over all classes (Szegedy et al., 2015, arXiv:1512.00567, section 7).
        focal_gamma: Exponent g of the focal loss (Lin et al., 2017,
            arXiv:1708.02002): easy examples count less. 0 is plain cross-entropy.

    Returns:
        Losses and weights, shape (...) each.
    """
    from keras import ops

    real = ops.cast(labels >= 0, "float32")
    ids = ops.maximum(labels, 0)
    log_p = ops.log_softmax(logits, axis=-1)
    right = ops.take_along_axis(log_p, ops.expand_dims(ids, -1), axis=-1)[..., 0]
    losses = -right
    if label_smoothing:
        losses = -(
            (1 - label_smoothing) * right + label_smoothing * ops.mean(log_p, axis=-1)
        )
    if focal_gamma:
        # Kept away from 0, where the derivative of a power below 1 is infinite.
        losses = losses * ops.power(ops.maximum(1 - ops.exp(right), 1e-7), focal_gamma)
    weights = real
    if class_weights:
        weights = real * ops.take(ops.array(class_weights, "float32"), ids)
    return losses * weights, weights


def check_options(task: Any) -> None:
    """Refuses invalid options of the loss.

    Raises:
        ConfigError: For an invalid option; names it.
    """
    require(0 <= task.label_smoothing < 1, task, "label_smoothing", "0 up to but not 1")
    require(0 <= task.focal_gamma < 20, task, "focal_gamma", "0 up to but not 20")
    _given_weights(task.class_weights)


def weights_by_label(
    given: Any, labels: Sequence[Any], counts: Counter[Any]
) -> dict[str, float] | None:
    """Returns the weight of each label in the order of the ids; None for no weights.

    Args:
        given: None, `balanced`, a mapping of labels to weights, or such a mapping as
            text, `spam=3,ham=1`. Labels that it does not name have weight 1.
        labels: The labels by id.
        counts: Number of occurrences of each label in training.

    Raises:
        ConfigError: For an unknown label.

    >>> weights_by_label("balanced", ["ham", "spam"], Counter(ham=3, spam=1))
    {'ham': 0.6666666666666666, 'spam': 2.0}
    >>> weights_by_label("spam=3", ["ham", "spam"], Counter())
    {'ham': 1.0, 'spam': 3.0}
    """
    names = [str(label) for label in labels]
    if given == BALANCED:
        weights = _balanced([counts[label] for label in labels])
        return dict(zip(names, weights, strict=True))
    weights = _given_weights(given)
    if weights is None:
        return None
    for name in weights:
        if name not in names:
            raise ConfigError(
                f"class_weights names {shorten(name)}",
                expected=one_of(names[:20]),
                fix=nearest(name, names) or "name the labels of the data",
            )
    return {name: weights.get(name, 1.0) for name in names}


def _given_weights(given: Any) -> dict[str, float] | None:
    if given is None or given == BALANCED:
        return None
    try:
        pairs = (
            [part.split("=") for part in given.split(",")]
            if isinstance(given, str)
            else given.items()
        )
        weights = {str(name).strip(): float(weight) for name, weight in pairs}
    except (AttributeError, TypeError, ValueError):
        weights = {}
    if not weights or not all(0 <= weight < 1e6 for weight in weights.values()):
        raise ConfigError(
            f"class_weights={shorten(given)}",
            expected=f"{BALANCED}, or weights from 0 by label such as spam=3,ham=1",
            fix="change class_weights",
        )
    return weights


def _balanced(counts: Sequence[int]) -> list[float]:
    """Gives each class the same total, n / (classes * count); absent ones get 0."""
    present = sum(1 for count in counts if count)
    return [sum(counts) / (present * count) if count else 0.0 for count in counts]


def as_vector(weights: Mapping[str, float] | None) -> tuple[float, ...]:
    """Returns weights by id for `cross_entropy`."""
    return tuple(weights.values()) if weights else ()
