"""Exports answer in TF Serving's C++ runtime as the run does."""

from __future__ import annotations

import numpy as np
import pytest

import tfft
from tests.fixtures.rows import CASES
from tests.runs.export.cpp import ask_cpp, needs_runtime
from tfft.serving import verification
from tfft.tasks.task import TASKS

pytestmark = needs_runtime
OPTIONS = {"text_classification": {"tail_tokens": 9}}
TEXTS = ["good bad 1", "", "Crème 中文 ไทย 🙂", "don't  stop\n", "good " * 200]


@pytest.fixture
def asked(monkeypatch):
    """Has exports proved by the C++ runtime; what it was asked and answered."""
    seen = []

    def ask(folder, questions):
        answers = ask_cpp(folder, questions)
        seen.extend(zip(questions, answers, strict=True))
        return verification.Reply(answers, [])

    monkeypatch.setattr(verification, "ask_outside", ask)
    return seen


@pytest.fixture
def make_run(tune, train):
    def make(name, **options):
        if name == "causal_lm":
            return train(epochs=12, learning_rate=2e-2)
        task = {"name": name, **OPTIONS.get(name, {})}
        changed = {"data": CASES[name][0], "learning_rate": 1e-2, **options}
        return tune(task=task, **changed)

    return make


def assert_same(found, expected):
    """Numbers within 1e-5, everything else equal."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-5)
    else:
        assert found == expected


# Their graphs are that of text_classification but for the last line.
_AS_A_CLASSIFIER = ("multi_label", "regression")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in _AS_A_CLASSIFIER))
        for name in TASKS.names()
    ],
)
def test_an_export_of_each_task_is_proved_in_cpp(name, make_run, asked, tmp_path):
    run, generates = make_run(name), name == "causal_lm"
    version = run.export(
        tmp_path / "served"
    )  # raises when ids or answers are not the run's
    main = "generate" if generates else "serving_default"
    assert {question["signature"] for question, _ in asked} == {"tokenize", main}
    question, found = next(pair for pair in asked if pair[0]["signature"] == main)
    arrays = {output: np.array(value) for output, value in found.items()}
    answers = run.task.served(run.labels).read(arrays)
    if generates:
        prompts = question["inputs"]["prompt"]
        [most] = set(question["inputs"]["max_new_tokens"])
        expected = run.generate(prompts, max_new_tokens=most)
        assert [one["completion"] for one in answers] == [one.text for one in expected]
    else:
        rows = list(zip(*question["inputs"].values(), strict=True))
        expected = run.predict([row if len(row) > 1 else row[0] for row in rows])
        assert_same(answers, expected)
    if name == "text_classification":
        _assert_classifies(version, run)


def _assert_classifies(version, run):
    """The signature that parses tf.train.Example needs no Python either."""
    import tensorflow as tf

    examples = []
    for text in ("good", "bad 1"):  # short ones: their bytes are ASCII
        one = tf.train.Example()
        one.features.feature["text"].bytes_list.value.append(text.encode())
        examples.append(one.SerializeToString().decode("ascii"))
    inputs = {"inputs": examples}
    [found] = ask_cpp(version, [{"signature": "classify", "inputs": inputs}])
    expected = [one["probabilities"] for one in run.predict(["good", "bad 1"])]
    assert found["classes"] == [list(one) for one in expected]
    assert_same(found["scores"], [list(one.values()) for one in expected])


# All operations of bfloat16, casts and products, are in the graph of int8.
@pytest.mark.parametrize(
    "dtype", [pytest.param("bfloat16", marks=pytest.mark.slow), "int8"]
)
def test_fewer_bits_are_proved_in_cpp(dtype, make_run, asked, make_rows, tmp_path):
    # Trained until it is sure: of ties, which fewer bits flip, the proof is no test.
    sure = {"method": "full", "learning_rate": 3e-3, "epochs": 15}
    run = make_run("text_classification", data=make_rows(80), **sure)
    run.export(tmp_path / "served", make_rows(40), dtype=dtype)  # raises below 95 %
    question, found = next(pair for pair in asked if "label_id" in pair[1])
    expected = run.predict(question["inputs"]["text"])
    right = [list(one["probabilities"].values()) for one in expected]
    worst = np.abs(np.array(found["probabilities"]) - right).max()
    assert 1e-6 < worst < 0.02


def test_several_adapters_in_one_model(tune, tmp_path):
    runs = {
        name: tune(method="lora", seed=seed, learning_rate=3e-2)
        for seed, name in enumerate(("one", "two"))
    }
    version = tfft.export_many(runs, tmp_path / "served")
    inputs = {"text": TEXTS * 2, "adapter": ["one"] * 5 + ["two"] * 5}
    [found] = ask_cpp(version, [{"signature": "serving_default", "inputs": inputs}])
    expected = [one for run in runs.values() for one in run.predict(TEXTS)]
    assert found["label"] == [one["label"] for one in expected]
    right = [list(one["probabilities"].values()) for one in expected]
    np.testing.assert_allclose(found["probabilities"], right, rtol=0, atol=1e-5)
