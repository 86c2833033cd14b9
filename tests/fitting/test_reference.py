"""The engine runs the pass of the untouched model that a task asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tfft.fitting.config import FinetuneConfig
from tfft.fitting.session import Session
from tfft.tasks.task import TASKS
from tfft.tasks.text_classification import TextClassification


@dataclass(frozen=True)
class Compared(TextClassification):
    """Learns to stay where the untouched model is, and asks for its logits."""

    has_reference: ClassVar[bool] = True

    def reference(self, network):
        return lambda batch: {"start": network({k: batch[k] for k in network.input})}

    def loss(self, outputs, batch):
        distances = tf.reduce_sum(tf.abs(outputs - batch["start"]), -1)
        weights = tf.cast(batch["weights"], "float32")
        return tf.reduce_sum(distances * weights), tf.reduce_sum(weights)


@pytest.fixture(scope="module")
def session(bert_folder, make_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    config = FinetuneConfig(
        model=bert_folder,
        data={"train": make_rows(20), "validation": make_rows(8, seed=1)},
        test=0,
        task=Compared(dropout=0.0),
        output_dir=folder,
        backbone_dropout=0.0,
        batch_size=8,
        epochs=1,
        learning_rate=1e-9,
        precision="float32",
        verbose=0,
    )
    with pytest.MonkeyPatch.context() as patched:
        # A task of a test is in no registry.
        patched.setattr(TASKS, "resolve", lambda task: task)
        made = Session(config, Path(folder), lambda text: None)
    yield made
    made.close()


def starts_of(session, plan):
    """The columns of a training beside what its network says before the first step."""
    examples = plan.rows.examples
    network = plan.network.built.network
    ours, theirs = [], []
    for batch in plan.batches.epoch():
        real = batch["weights"] > 0
        outputs = network({name: batch[name] for name in network.input})
        theirs.append(np.array(outputs)[real])
        ours.append(batch["start"][real])
    assert len(np.concatenate(ours)) == len(examples)
    return np.concatenate(ours), np.concatenate(theirs)


@pytest.mark.parametrize("train", [None, [7, 3, 11, 2, 5]])
def test_its_columns_are_the_outputs_before_the_first_step(session, train):
    ours, theirs = starts_of(session, session.plan(train=train))
    # LoRA starts as the identity; sums in batches of other shapes.
    np.testing.assert_allclose(ours, theirs, 0, 1e-6)
    assert np.std(ours) > 1e-3


def test_the_loss_reads_them(session):
    fit = session.fit()
    assert fit.history[0]["loss"] == pytest.approx(0, abs=1e-5)
