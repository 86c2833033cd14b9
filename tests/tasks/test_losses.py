"""The loss against its formula written out in NumPy."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tfft.core.errors import ConfigError
from tfft.tasks.losses import cross_entropy, weights_by_label
from tfft.tasks.text_classification import TextClassification
from tfft.tasks.token_classification import TokenClassification

WEIGHTS = (0.5, 2.0, 1.0)


def by_hand(labels, logits, weights=(1, 1, 1), smoothing=0.0, gamma=0.0):
    losses, sums = [], []
    for label, row in zip(labels, logits, strict=True):
        p = np.exp(row) / np.exp(row).sum()
        target = np.full(3, smoothing / 3)
        target[label] += 1 - smoothing
        loss = -(target * np.log(p)).sum() * (1 - p[label]) ** gamma
        losses.append(weights[label] * loss)
        sums.append(weights[label])
    return np.array(losses), np.array(sums)


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (8, 3)).astype("float32")
    return random.integers(0, 3, 8).astype("int32"), logits


@pytest.mark.parametrize("weights", [(), WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_every_combination_is_its_formula(batch, weights, smoothing, gamma):
    losses, sums = cross_entropy(
        *batch, class_weights=weights, label_smoothing=smoothing, focal_gamma=gamma
    )
    wanted = by_hand(*batch, weights or (1, 1, 1), smoothing, gamma)
    # float32 sums of three terms.
    np.testing.assert_allclose(losses, wanted[0], rtol=2e-5)
    np.testing.assert_allclose(sums, wanted[1], rtol=1e-6)


def test_places_without_a_label_weigh_nothing(batch):
    labels, logits = batch
    hidden = np.where(np.arange(8) % 2, -1, labels).astype("int32")
    losses, sums = (np.array(one) for one in cross_entropy(hidden, logits))
    plain, _ = (np.array(one) for one in cross_entropy(labels, logits))
    np.testing.assert_array_equal(losses[1::2], 0)
    np.testing.assert_array_equal(sums, [1, 0] * 4)
    np.testing.assert_array_equal(losses[::2], plain[::2])


def test_the_focal_gradient_is_finite_where_the_model_is_sure():
    import tensorflow as tf

    logits = tf.Variable([[60.0, 0.0]])
    with tf.GradientTape() as tape:
        losses, _ = cross_entropy(np.array([0]), logits, focal_gamma=0.5)
        total = tf.reduce_sum(losses)
    assert np.isfinite(tape.gradient(total, logits).numpy()).all()


@pytest.mark.parametrize("kind", [TextClassification, TokenClassification])
@pytest.mark.parametrize(
    "option",
    [{"label_smoothing": 0.1}, {"focal_gamma": 1}, {"class_weights": {"a": 3, "b": 1}}],
    ids=lambda option: next(iter(option)),
)
def test_each_option_of_a_task_changes_its_loss(kind, option):
    random = np.random.default_rng(0)
    shape = (4, 5) if kind.per_token else (4,)
    labels = np.zeros(shape, "int32")
    labels[1] = 1
    batch = {"labels": labels, "weights": np.array([1, 1, 1, 0], "float32")}
    outputs = 2 * random.normal(size=(*shape, 2)).astype("float32")
    plain, other = (task.loss(outputs, batch) for task in (kind(), kind(**option)))
    assert abs(float(plain[0]) - float(other[0])) > 1e-3
    dropped = {**batch, "labels": np.where(np.ones(shape), 1, 0).astype("int32")}
    dropped["labels"][:3] = batch["labels"][:3]
    again = kind(**option).loss(outputs, dropped)
    assert float(again[0]) == pytest.approx(float(other[0]))  # the row of weight 0


def test_weights_by_label_keep_the_order_of_the_labels():
    counts = Counter(x=1, y=3)
    # scikit-learn: n / (classes * count).
    assert weights_by_label("balanced", ["y", "x"], counts) == {"y": 4 / 6, "x": 2.0}
    found = weights_by_label({"x": 2}, ["y", "x", "z"], counts)
    assert list(found.items()) == [("y", 1.0), ("x", 2.0), ("z", 1.0)]
    assert weights_by_label("7=2, 8=0.5", [7, 8], Counter()) == {"7": 2.0, "8": 0.5}
    assert weights_by_label(None, ["y"], counts) is None


@pytest.mark.parametrize(
    "given", ["spam", "spam=x", {"spam": -1}, {"spam": float("nan")}, {}, 3, "a=1,b"]
)
def test_weights_of_another_form_are_refused(given):
    with pytest.raises(ConfigError, match=r"class_weights=.*expected balanced, or"):
        TextClassification(class_weights=given)


def test_a_weight_of_an_unknown_label_is_refused():
    with pytest.raises(ConfigError, match=r"class_weights names 'spm'.*\"spam\""):
        weights_by_label("spm=3", ["ham", "spam"], Counter())
