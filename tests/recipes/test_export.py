"""A SavedModel answers from raw text as the run does, and appears whole or not."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import numpy as np
import pytest

import tfft
from tfft.core.errors import TfftError
from tfft.recipes import export
from tfft.serving import word_piece

# No tfft and no Keras: what a server has.
SERVE = """
import json, sys
import numpy as np, tensorflow as tf, tensorflow_text
folder, texts, out = sys.argv[1:]
answer = tf.saved_model.load(folder).signatures["serving_default"]
found = answer(text=tf.constant(json.load(open(texts, encoding="utf-8"))))
assert not {"tfft", "keras_hub", "tokenizers"} & set(sys.modules)
np.savez(out, **{name: value.numpy() for name, value in found.items()})
"""
HARD = [
    "", " ", "\t\n", "[SEP]", "[CLS] good [SEP] bad [PAD]", "good" * 2500, "a " * 5000,
    "Crème brûlée", "e\u0301 vs é", "ẞ İ ﬁ ǅ Σς", "中文 mixed 漢字", "한국어 ไทย हिन्दी",
    "🙂👩\u200d👩\u200d👧 🇩🇪", "\u202eto left\u202c", "\x00\x07\x1b[31m", "\ufeffgood",
    "a\u00adb", "a\u00a0b\u2003c", "good!bad?", "##good", "<script>", "x" * 101,
    "\ufffd", "\U0010ffff", "don't", "1,000.50 €", "GOOD Bad",
]  # fmt: skip


def hard_texts(count=200):
    generator = random.Random(0)
    ranges = [(32, 126), (0, 0x2FF), (0x300, 0x5FF), (0x4E00, 0x4FFF), (0, 0xD7FF),
              (0x1F300, 0x1FAFF), (0xE000, 0x10FFFF)]  # fmt: skip
    texts = list(HARD)
    while len(texts) < count:
        low, high = generator.choice(ranges)
        length = generator.randrange(1, 60)
        part = "".join(chr(generator.randint(low, high)) for _ in range(length))
        texts.append(f"good {part} bad" if generator.random() < 0.5 else part)
    return texts


@pytest.fixture(scope="module", autouse=True)
def _one_character_table():
    """Each export asks the tokenizer about a million characters; once will do."""
    with pytest.MonkeyPatch.context() as patched:
        tables = {}

        def remember(tokenizer, make=word_piece.character_table):
            key = tokenizer.to_json()
            if key not in tables:
                tables[key] = make(tokenizer)
            return tables[key]

        patched.setattr(word_piece, "character_table", remember)
        yield


@pytest.fixture(scope="module")
def served(tiny_run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("served") / "reviews"
    return directory, tiny_run.export(directory)


def test_a_fresh_process_without_tfft_answers_as_the_run_does(
    tiny_run, served, tmp_path
):
    texts = hard_texts()
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    words = [served[1], tmp_path / "texts.json", tmp_path / "found.npz"]
    command = [sys.executable, "-c", SERVE, *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)
    found = np.load(tmp_path / "found.npz", allow_pickle=True)
    answers = tiny_run.predict(texts)
    expected = np.array([list(one["probabilities"].values()) for one in answers])
    assert len(texts) == 200
    assert np.ptp(expected[:, 0]) > 0.01  # they are not all alike
    assert np.abs(found["probabilities"] - expected).max() <= 1e-5
    labels = [label.decode() for label in found["label"]]
    assert labels == [one["label"] for one in answers]
    assert found["label_id"].tolist() == expected.argmax(axis=1).tolist()
    assert found["score"] == pytest.approx(expected.max(axis=1), abs=1e-5)


def test_the_signature_names_inputs_and_outputs(served):
    import tensorflow as tf

    model = tf.saved_model.load(str(served[1]))
    signature = model.signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    assert {name: spec.dtype.name for name, spec in inputs.items()} == {
        "text": "string"
    }
    outputs = signature.structured_outputs
    assert {name: spec.dtype.name for name, spec in outputs.items()} == {
        "label": "string", "label_id": "int64", "score": "float32",
        "probabilities": "float32",
    }  # fmt: skip
    assert outputs["probabilities"].shape.as_list() == [None, 2]


def test_the_export_says_where_it_came_from(tiny_run, served):
    text = (served[1] / "assets.extra" / "tfft.json").read_text(encoding="utf-8")
    details = json.loads(text)
    assert details["labels"] == ["neg", "pos"]
    assert details["task"] == "text_classification"
    assert details["run"] == tiny_run.folder.name
    assert details["versions"]["tfft"] == tfft.__version__


def test_the_run_is_what_it_was_after_an_export(tiny_run, served):
    texts = hard_texts(60)
    assert tiny_run.predict(texts) == tfft.load(tiny_run.folder).predict(texts)
    assert not tiny_run.built.adapter.merged


def test_versions_count_up_from_the_highest(tune, tmp_path):
    run = tune()
    folders = [run.export(tmp_path / "served") for _ in range(2)]
    (tmp_path / "served" / "7").mkdir()
    (tmp_path / "served" / "notes").mkdir()
    folders.append(run.export(tmp_path / "served"))
    assert [folder.name for folder in folders] == ["1", "2", "8"]
    names = sorted(path.name for path in (tmp_path / "served").iterdir())
    assert names == ["1", "2", "7", "8", "notes"]


def test_nothing_is_published_when_the_check_fails(tiny_run, monkeypatch, tmp_path):
    right = export._expected

    def wrong(*arguments):
        answers = right(*arguments)
        answers[3]["probabilities"] += 1e-3
        return answers

    monkeypatch.setattr(export, "_expected", wrong)
    with pytest.raises(TfftError, match=r"differs from the run by 1\.0e-03.*text '"):
        tiny_run.export(tmp_path / "served")
    assert list((tmp_path / "served").iterdir()) == []
    assert not tiny_run.built.adapter.merged


def test_nothing_is_published_when_writing_fails(tiny_run, monkeypatch, tmp_path):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tfft.serving.saved_model._write", full)
    with pytest.raises(TfftError, match=r"No space left on device.*free some space"):
        tiny_run.export(tmp_path / "served")
    assert list((tmp_path / "served").iterdir()) == []


def test_a_pair_has_two_inputs(tune, tmp_path):
    import tensorflow as tf

    rows = [
        {"a": f"good {i}", "b": "bad" * (i % 2) + "x", "label": i % 2}
        for i in range(40)
    ]
    run = tune(data=rows, task={"name": "text_classification", "text": ["a", "b"]})
    folder = run.export(tmp_path / "served")
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"]
    texts = hard_texts(60)
    pairs = list(zip(texts, reversed(texts), strict=True))
    first, second = map(list, zip(*pairs, strict=True))
    found = answer(text=tf.constant(first), text_pair=tf.constant(second))
    answers = run.predict(pairs)
    expected = [list(one["probabilities"].values()) for one in answers]
    assert np.abs(found["probabilities"].numpy() - expected).max() <= 1e-5
    assert [int(label) for label in found["label"].numpy()] == [
        one["label"] for one in answers
    ]
