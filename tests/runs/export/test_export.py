"""A SavedModel answers from raw text as the run does, and appears whole or not."""

from __future__ import annotations

import html
import json
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest

import tfft
from tfft.core.errors import TfftError
from tfft.data.batching import Batches, Examples
from tfft.runs.export.companion_files import plain
from tfft.serving import verification

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


def example(**texts):
    """Returns a serialized tf.train.Example, as clients of TF Serving send it."""
    import tensorflow as tf

    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
        for name, text in texts.items()
    }
    features = tf.train.Features(feature=features)
    return tf.train.Example(features=features).SerializeToString()


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


def test_each_weight_is_written_once(tiny_run, served):
    [file] = (served[1] / "variables").glob("*.data-*")
    with tiny_run.built.adapter.folded():
        weights = tiny_run.model.weights
        values = sum(np.prod(one.shape) for one in weights if "float" in one.dtype)
    # And some kilobytes that say what the model consists of.
    assert 4 * values <= file.stat().st_size <= 4 * values + 2**16
    assert 4 * values > 2**14


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


def test_versions_count_up_from_the_highest(served, tiny_run, write_copies, tmp_path):
    assert served[1].name == "1"
    write_copies(served[1])
    shutil.copytree(served[0], tmp_path / "served")
    (tmp_path / "served" / "7").mkdir()
    (tmp_path / "served" / "notes").mkdir()
    assert tiny_run.export(tmp_path / "served").name == "8"
    names = sorted(path.name for path in (tmp_path / "served").iterdir())
    assert names == ["1", "7", "8", "notes", "server"]


@pytest.mark.outside
def test_an_export_is_asked_outside_of_tfft(tiny_run, make_rows, tmp_path):
    version = tiny_run.export(tmp_path / "served", data=make_rows(10))
    card = (version / "assets.extra" / "README.md").read_text(encoding="utf-8")
    assert "10 of 10 texts of the given data, and hard ones" in card
    assert "`FastWordpieceTokenizeWithOffsets`" in card


def replies(change, monkeypatch):
    right = verification.ask_outside

    def wrong(folder, questions):
        reply = right(folder, questions)
        for question, answer in zip(questions, reply.answers, strict=True):
            change(question["signature"], answer)
        return reply

    monkeypatch.setattr(verification, "ask_outside", wrong)


def test_nothing_is_published_when_an_answer_differs(
    served, tiny_run, write_copies, monkeypatch, tmp_path
):
    write_copies(served[1])

    def change(signature, answer):
        if signature == "serving_default":
            answer["probabilities"][3][0] += 1e-3

    replies(change, monkeypatch)
    message = r"differs from the run by 1\.0e-03.*input \"\('Crème"
    with pytest.raises(TfftError, match=message):
        tiny_run.export(tmp_path / "served")
    assert list((tmp_path / "served").iterdir()) == []
    assert not tiny_run.built.adapter.merged


def test_nothing_is_published_when_tokens_differ(
    served, tiny_run, write_copies, monkeypatch, tmp_path
):
    write_copies(served[1])

    def change(signature, answer):
        if signature == "tokenize":
            answer["token_ids"][4][0] += 1

    replies(change, monkeypatch)
    message = r"tokenizer in the graph differs on 1 of 9 texts: '中文字符 mixed"
    with pytest.raises(TfftError, match=message):
        tiny_run.export(tmp_path / "served")
    assert list((tmp_path / "served").iterdir()) == []


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
    signatures = tf.saved_model.load(str(folder)).signatures
    answer = signatures["serving_default"]
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
    classified = signatures["classify"](
        inputs=tf.constant([example(text=a, text_pair=b) for a, b in pairs])
    )
    assert classified["classes"].numpy().tolist() == [[b"0", b"1"]] * 60
    assert (classified["scores"].numpy() == found["probabilities"].numpy()).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="text_pair"):
        signatures["classify"](inputs=tf.constant([example(text="good")]))


def test_what_a_server_needs_stands_beside(tiny_run, served):
    import tensorflow as tf
    from google.protobuf import text_format
    from tensorflow_serving.apis import prediction_log_pb2
    from tensorflow_serving.config import model_server_config_pb2

    directory, version = served
    text = (directory / "server" / "models.config").read_text(encoding="utf-8")
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert [one.name for one in config.model_config_list.config] == ["reviews"]
    answer = tf.saved_model.load(str(version)).signatures["serving_default"]
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    sizes = []
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.signature_name == "serving_default"
        given = {name: tf.make_ndarray(one) for name, one in request.inputs.items()}
        sizes.append(len(answer(text=tf.constant(given["text"]))["label"]))
    assert sizes == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32]
    batching = (directory / "server" / "batching_parameters.txt").read_text()
    assert batching.count("allowed_batch_sizes") == 6


def test_ids_and_summaries_have_signatures_of_their_own(tiny_run, served):
    import tensorflow as tf

    model = tf.saved_model.load(str(served[1]))
    texts = tf.constant(["good one", "bad"])
    ids = tiny_run.built.pretrained.tokenizer.encode(["good one", "bad"], None, 64)
    batch = Examples(
        {
            "token_ids": [one.token_ids for one in ids],
            "segment_ids": [one.segment_ids for one in ids],
        },
        {},
        {"token_ids": 0, "segment_ids": 0},
    )
    given = Batches(batch, 2).batch(np.arange(2))
    found = model.signatures["serving_tensors"](
        **{name: tf.constant(given[name]) for name in tiny_run.model.input}
    )
    default = model.signatures["serving_default"](text=texts)
    np.testing.assert_allclose(
        found["probabilities"], default["probabilities"], rtol=0, atol=1e-6
    )
    embedding = model.signatures["embed"](text=texts)["embedding"].numpy()
    kernel, bias = (np.array(one) for one in tiny_run.model.head_variables)
    logits = embedding @ kernel + bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, default["probabilities"], rtol=0, atol=1e-6)


def test_a_label_with_a_line_break_is_one_line_of_labels(tune, make_rows, tmp_path):
    rows = [{**row, "label": f"{row['label']}\nx"} for row in make_rows(40)]
    folder = tune(data=rows).export(tmp_path / "served")
    extra = folder / "assets.extra"
    assert (extra / "labels.txt").read_text() == "neg\\nx\npos\\nx\n"
    assert json.loads((extra / "tfft.json").read_text())["labels"] == [
        "neg\nx",
        "pos\nx",
    ]


def test_the_model_card_names_the_base_model_as_it_is(tiny_run, served, tmp_path):
    card = (served[1] / "assets.extra" / "README.md").read_text()
    assert f"Base model: `{tiny_run.record['model']['source']}`" in card
    assert "&#35;" not in card
    for split, mark in tiny_run.record["data"]["fingerprint"].items():
        assert f"{split} `{mark}`" in card


@pytest.mark.parametrize("text", ["a_b", "<b>&amp;|#1", "[x](y) \\ *z*", "&&#35;95;"])
def test_a_card_shows_a_text_as_it_is(text):
    assert html.unescape(plain(text)) == text
    assert not set("\\`*_[]<>|") & set(plain(text))
