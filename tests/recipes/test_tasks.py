"""What holds for every task, on the tiny BERT."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tfft
from tests.fixtures.rows import CASES
from tfft.core.errors import ConfigError
from tfft.tasks.task import TASKS


def test_every_task_is_covered():
    # Language models need a decoder, and generate: test_causal_lm.py.
    assert sorted([*CASES, "causal_lm"]) == TASKS.names()


@pytest.mark.parametrize("name", CASES)
def test_a_task_from_rows_to_answers_and_back(name, tune):
    rows, inputs = CASES[name]
    run = tune(task=name, data=rows, learning_rate=1e-2)
    answers = run.predict(inputs)
    assert len(answers) == 2
    json.dumps(answers)
    loaded = tfft.load(run.folder)
    assert loaded.task == run.task
    assert loaded.predict(inputs) == answers
    report = loaded.evaluate(rows, slice_by=[next(iter(rows[0]))])
    assert set(run.metrics["test"]) == set(report.metrics)
    assert report.details.intervals
    assert len(report.details.slices) == 1
    written = json.loads((run.folder / "report.json").read_text())
    assert set(written) == {"validation", "test"}
    assert (run.folder / "report.html").read_text().startswith("<!doctype html>")
    assert list((run.folder / "logs" / "report").iterdir())


@pytest.mark.parametrize("name", CASES)
def test_frozen_layers_computed_once_train_alike(name, tune):
    rows, _ = CASES[name]
    # Not Adam: it makes steps of a gradient that is nothing but rounding, as that of
    # the bias of logits under one softmax.
    plain = {"optimizer": "sgd", "learning_rate": 0.1}
    same = {"task": name, "data": rows, "backbone_dropout": 0.0, "epochs": 2, **plain}
    heads = []
    for once in (True, False):
        run = tune(cache_frozen=once, **same)
        heads.append([np.array(variable) for variable in run.model.head_variables])
    for one, other in zip(*heads, strict=True):
        # The order of float32 sums differs, and GELU's last bit.
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_one_text_instead_of_a_list_is_refused(name):
    with pytest.raises(tfft.TfftError, match="expected"):
        TASKS.get(name)().rows("good")


@pytest.mark.parametrize("name", CASES)
def test_the_tables_of_inspect(name, bert_folder):
    rows, _ = CASES[name]
    found = tfft.inspect_data(rows, name, bert_folder)
    assert found.problems == ()
    titles = [table.title for table in found.tables]
    assert titles == ["train: labels", "train: lengths", "train: first rows"]


def test_an_unknown_option_of_a_task_is_refused():
    for name in CASES:
        with pytest.raises(ConfigError, match="unknown option txet"):
            TASKS.resolve({"name": name, "txet": "a"})
