"""A head in the checkpoint is where training starts, when it is the task's own."""

from __future__ import annotations

import numpy as np
import pytest

import tfft
from tests.fixtures.bert import HIDDEN, bert_config, bert_tensors, write_bert
from tests.fixtures.rows import review_rows
from tfft.core.errors import DataError
from tfft.models.pretrained import load_pretrained
from tfft.runs.checkpoint_head import take_head
from tfft.tasks.networks.text_classifier import TextClassifier

SAME = "the head starts from the checkpoint's"


def folder_with_head(folder, labels=None, classes=2, **changes):
    generator = np.random.default_rng(7)
    head = {
        "classifier.weight": generator.normal(size=(classes, HIDDEN)).astype("float32"),
        "classifier.bias": generator.normal(size=classes).astype("float32"),
    }
    config = {}
    if labels is not None:
        config["id2label"] = {str(index): name for index, name in enumerate(labels)}
    return write_bert(
        folder, bert_config(**config), bert_tensors() | {**head, **changes}
    )


def taken(folder, labels=("neg", "pos"), **options):
    """Returns the network's head after it was offered the checkpoint's."""
    pretrained = load_pretrained(folder)
    network = TextClassifier(pretrained.backbone, num_classes=len(labels), **options)
    before = [np.array(variable) for variable in network.head_variables]
    notes = take_head(network, pretrained, labels)
    after = [np.array(variable) for variable in network.head_variables]
    return notes, before, after, pretrained.head


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (None, [0, 1]),
        (["LABEL_0", "LABEL_1"], [0, 1]),
        (["neg", "pos"], [0, 1]),
        (["pos", "neg"], [1, 0]),
    ],
)
def test_the_same_head_is_taken_in_the_order_of_our_labels(tmp_path, labels, order):
    notes, _, (kernel, bias), head = taken(folder_with_head(tmp_path / "m", labels))
    assert notes == (SAME,)
    np.testing.assert_array_equal(kernel, head["classifier.weight"][order].T)
    np.testing.assert_array_equal(bias, head["classifier.bias"][order])


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"labels": ["good", "bad"]}, "its labels are good, bad"),
        ({"classes": 3}, "this task has a different head"),
        ({"qa_outputs.bias": np.zeros(2, "float32")}, "this task has a different head"),
    ],
)
def test_another_head_is_left_aside_and_said_so(tmp_path, options, note):
    notes, before, after, _ = taken(folder_with_head(tmp_path / "m", **options))
    [said] = notes
    assert said.startswith("the checkpoint's head is not used")
    assert said.endswith(note)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_head_for_another_summary_is_left_aside(tmp_path):
    folder = folder_with_head(tmp_path / "m")
    [said], before, after, _ = taken(folder, pooling="mean")
    assert said == "the checkpoint's head is not used: this task has a different head"
    np.testing.assert_array_equal(before[0], after[0])


def test_a_checkpoint_without_a_head_says_nothing(bert_folder):
    assert taken(bert_folder)[0] == ()


def test_a_head_of_no_numbers_is_refused(tmp_path):
    bad = np.full(2, np.nan, "float32")
    folder = folder_with_head(tmp_path / "m", **{"classifier.bias": bad})
    with pytest.raises(DataError, match=r"classifier\.bias holds values"):
        taken(folder)


def test_training_starts_from_it_and_its_export_starts_there_too(tmp_path, capsys):
    folder = folder_with_head(tmp_path / "m", ["pos", "neg"])
    options = {"data": review_rows(), "epochs": 1, "precision": "float32"}
    run = tfft.finetune(
        model=folder,
        output_dir=tmp_path / "run",
        learning_rate=1e-12,
        backbone_dropout=0.0,
        **options,
    )
    assert f"note: {SAME}" in capsys.readouterr().out
    weight = load_pretrained(folder).head["classifier.weight"]
    kernel = np.array(run.model.head_variables[0])
    np.testing.assert_allclose(kernel, weight[[1, 0]].T, 0, 1e-6)
    exported = load_pretrained(run.export_huggingface(tmp_path / "out"))
    np.testing.assert_array_equal(exported.head["classifier.weight"], kernel.T)
    assert exported.config["id2label"] == {"0": "neg", "1": "pos"}
