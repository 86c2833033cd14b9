"""Exports in fewer bits: how near they come, what is told, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.fixtures.rows import CASES
from tfft.core.errors import ConfigError, TfftError
from tfft.runs.predictor import Predictor
from tfft.serving import verification

TEXTS = ["good abc", "bad abc 1", "", "good " * 60]


def weights_of(version):
    """Returns the variables of a SavedModel, as its file has them."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    names = reader.get_variable_to_shape_map()
    return [reader.get_tensor(name) for name in names if "VARIABLE_VALUE" in name]


def served(version, texts, signature="serving_default"):
    import tensorflow as tf

    found = tf.saved_model.load(str(version)).signatures[signature]
    return {name: one.numpy() for name, one in found(text=tf.constant(texts)).items()}


@pytest.fixture(scope="module")
def exported(tiny_run, make_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dtypes")

    def export(dtype):
        path = folder / dtype
        if not path.exists():
            tiny_run.export(path, dtype=dtype, data=make_rows(64))
        return path / "1"

    return export


@pytest.mark.parametrize(("dtype", "most"), [("bfloat16", 0.02), ("int8", 0.02)])
def test_answers_come_near_and_how_near_is_told(
    dtype, most, tiny_run, exported, capsys
):
    version = exported(dtype)
    shown = capsys.readouterr().out
    extra = version / "assets.extra"
    details = json.loads((extra / "tfft.json").read_text(encoding="utf-8"))
    proof = details["proof"]
    assert details["dtype"] == dtype
    assert proof["rows"] == 9 + 64  # the hard rows, and those of the training
    found = served(version, TEXTS)["probabilities"]
    expected = [list(a["probabilities"].values()) for a in tiny_run.predict(TEXTS)]
    worst = np.abs(found - expected).max()
    # Not zero: the numbers are others. Steps are 1/256 and 1/127 of a matrix' largest.
    assert 1e-6 < worst < most
    assert 1e-6 < proof["difference"] < most
    said = f"{dtype}: same answer as the run on "
    assert said in shown
    assert f"within {proof['difference']:.1e}" in shown
    assert said in (extra / "README.md").read_text(encoding="utf-8")


def merged_matrices(run):
    with run.built.adapter.folded():
        weights = run.built.pretrained.backbone.weights
        return {
            one.path: np.array(one)
            for one in weights
            if len(one.shape) > 1 and not one.path.endswith("bias")
        }


def test_int8_is_a_127th_of_the_largest_of_each_output(tiny_run, exported):
    """By hand: the nearest step, one for each column of W or row of an embedding."""
    stored = [one for one in weights_of(exported("int8")) if one.dtype == np.int8]
    matrices = merged_matrices(tiny_run)
    assert len(stored) == len(matrices) == 3 + 2 * 6 + 1  # embeddings, layers, pooler
    for path, matrix in matrices.items():
        axes = {"embedding": -1, "attention_output": (0, 1)}
        axis = next((at for part, at in axes.items() if part in path), 0)
        step = np.abs(matrix).max(axis=axis, keepdims=True) / 127
        assert any(
            one.shape == matrix.shape
            and (np.abs(one * step - matrix) <= 0.501 * step).all()
            for one in stored
        ), path


def test_bfloat16_is_the_nearest_and_nothing_is_kept_twice(tiny_run, exported):
    import ml_dtypes

    weights = weights_of(exported("bfloat16"))
    stored = [one for one in weights if one.dtype == ml_dtypes.bfloat16]
    matrices = merged_matrices(tiny_run)
    assert len(stored) == len(matrices)
    for path, matrix in matrices.items():
        right = matrix.astype(ml_dtypes.bfloat16)
        assert any(
            one.shape == right.shape and (one == right).all() for one in stored
        ), path
    wide = [one for one in weights if one.dtype == np.float32 and one.ndim > 1]
    biases = [(2, 8)] * 6  # of queries, keys and values
    assert sorted(one.shape for one in wide) == [*biases, (16, 2)]  # and the head


def test_the_run_is_what_it_was(tiny_run, exported):
    before = tiny_run.predict(TEXTS)
    for dtype in ("bfloat16", "int8"):
        exported(dtype)
        assert tiny_run.predict(TEXTS) == before
    traced_again = Predictor(tiny_run.built, tiny_run.task, tiny_run.labels)
    assert traced_again.predict(TEXTS) == before


@pytest.mark.slow
def test_ids_and_summaries_are_in_fewer_bits_too(exported, tiny_run, tmp_path):
    exact = served(tiny_run.export(tmp_path / "exact"), TEXTS, "embed")["embedding"]
    for dtype in ("bfloat16", "int8"):
        found = served(exported(dtype), TEXTS, "embed")["embedding"]
        assert 1e-5 < np.abs(found - exact).max() < 0.1


def test_too_few_rows_alike_and_nothing_is_published(
    tiny_run, exported, make_rows, write_copies, monkeypatch, tmp_path
):
    write_copies(exported("int8"))
    right = verification.ask_outside

    def wrong(folder, questions):
        reply = right(folder, questions)
        answers = [one for one in reply.answers if "label_id" in one]
        for one in answers:
            one["label_id"][::2] = [1 - label for label in one["label_id"][::2]]
        return reply

    monkeypatch.setattr(verification, "ask_outside", wrong)
    message = r"agrees with the run on 4\d\.\d% of 73 rows; expected 95\.0%"
    with pytest.raises(TfftError, match=message.replace("; ", ".*")):
        tiny_run.export(tmp_path / "served", make_rows(64), dtype="int8")
    assert list((tmp_path / "served").iterdir()) == []


def test_numbers_that_are_none_are_refused(
    tiny_run, exported, write_copies, monkeypatch, tmp_path
):
    write_copies(exported("int8"))
    right = verification.ask_outside

    def wrong(folder, questions):
        reply = right(folder, questions)
        [first, *_] = [one for one in reply.answers if "score" in one]
        first["score"][2] = float("nan")
        return reply

    monkeypatch.setattr(verification, "ask_outside", wrong)
    with pytest.raises(TfftError, match="not finite"):
        tiny_run.export(tmp_path / "served", dtype="int8", min_agreement=0.0)


def test_a_dtype_or_a_share_that_there_is_not(tiny_run, tmp_path):
    with pytest.raises(ConfigError, match=r"dtype='int4'.*float32, bfloat16, int8"):
        tiny_run.export(tmp_path / "served", dtype="int4")
    with pytest.raises(ConfigError, match=r"min_agreement=95.*from 0 to 1"):
        tiny_run.export(tmp_path / "served", dtype="int8", min_agreement=95)
    with pytest.raises(ConfigError, match=r"format='tflite'.*litert"):
        tiny_run.export(tmp_path / "served", format="tflite")
    assert not (tmp_path / "served").exists()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@pytest.mark.parametrize("name", CASES)
def test_every_task_in_fewer_bits(name, dtype, tune, tmp_path):
    # Long enough to be sure of its answers: rounding decides between equal ones.
    options = {"method": "lora", "learning_rate": 1e-2, "epochs": 10}
    run = tune(task=name, data=CASES[name][0], **options)
    version = run.export(tmp_path / "served", dtype=dtype, min_agreement=0.7)
    details = json.loads((version / "assets.extra" / "tfft.json").read_text())
    # Numbers that are learned are scaled back by the spread of the training's.
    assert details["proof"]["difference"] < 0.05 * (getattr(run.task, "scale", 0) or 1)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "least"), [("bfloat16", 0.7), ("int8", 0.0)])
def test_text_is_generated_in_fewer_bits(dtype, least, train, tmp_path):
    """A random decoder's tokens are nearly alike: a share says little of int8."""
    run = train(epochs=12, learning_rate=2e-2)
    version = run.export(tmp_path / "served", dtype=dtype, min_agreement=least)
    proof = json.loads((version / "assets.extra" / "tfft.json").read_text())["proof"]
    assert least <= proof["agreement"] <= 1
    assert proof["difference"] == 0  # texts have no numbers
