"""Fine-tuning from beginning to end, on the tiny BERT."""

from __future__ import annotations

import numpy as np
import pytest

import tfft
from tfft.core.errors import ConfigError
from tfft.methods.method import METHODS

TEXTS = ["good abc 7", "bad", "", "a b c d " * 40, "Größe 漢字 🙂"]


def scores(run, inputs=TEXTS):
    return [list(one["probabilities"].values()) for one in run.predict(inputs)]


@pytest.mark.parametrize("method", METHODS.names())
def test_a_loaded_run_answers_bit_for_bit_alike(tune, method):
    run = tune(method=method, learning_rate=1e-2)
    loaded = tfft.load(run.folder)
    assert loaded.predict(TEXTS) == run.predict(TEXTS)
    assert np.ptp(scores(run)) > 0
    assert run.record["status"] == "complete"
    assert run.record["method"]["name"] == method


def test_a_run_without_backbone_dropout_is_loaded_without_it(tune):
    run = tune(backbone_dropout=0.0, learning_rate=1e-2)
    loaded = tfft.load(run.folder)
    # Attention built with dropout rounds otherwise, by more than nothing.
    assert loaded.built.pretrained.backbone.dropout == 0.0
    assert loaded.predict(TEXTS) == run.predict(TEXTS)


def test_a_task_that_can_be_learned_is_learned(tune, make_rows):
    run = tune(
        data=make_rows(200), method="full", learning_rate=5e-3, epochs=10, batch_size=8
    )
    assert run.metrics["test"]["accuracy"] == 1.0
    answers = run.predict(["good zzz", "bad zzz"])
    assert [one["label"] for one in answers] == ["pos", "neg"]
    report = run.evaluate(make_rows(50, seed=9))
    assert report.metrics["accuracy"] == 1.0
    assert report.confusion.trace() == 50


@pytest.mark.parametrize(
    ("method", "changed"),
    [
        ("lora", {"lora"}),
        ("head", set()),
        (tfft.LastLayers(count=1), {"transformer_layer_1", "pooled_dense"}),
    ],
)
def test_only_what_the_method_names_has_changed(tune, bert_folder, method, changed):
    run = tune(method=method, learning_rate=1e-2)
    fresh = {
        v.path: np.array(v) for v in tfft.load_pretrained(bert_folder).backbone.weights
    }
    moved = set()
    for variable in run.built.pretrained.backbone.weights:
        path = variable.path.replace("/query/query/", "/query/")
        path = path.replace("/value/value/", "/value/")
        before = fresh.get(path)
        if before is None or not np.array_equal(before, np.array(variable)):
            moved.add(variable.path)
    parts = {part for part in changed if any(part in path for path in moved)}
    assert parts == changed
    assert [path for path in moved if not any(part in path for part in changed)] == []


def test_two_text_columns_are_a_pair(tune):
    rows = [
        {"a": f"good {i}", "b": "bad" if i % 2 else f"good {i}", "label": i % 2}
        for i in range(40)
    ]
    run = tune(data=rows, task={"name": "text_classification", "text": "a,b"})
    pair = [("good", "bad")]
    assert scores(run, pair) == scores(run, [{"b": "bad", "a": "good"}])
    assert scores(run, pair) != scores(run, [("bad", "good")])
    assert tfft.load(run.folder).predict(pair) == run.predict(pair)


def test_whole_numbers_come_back_as_whole_numbers(tune):
    rows = [{"text": f"good {i}", "label": float(i % 3)} for i in range(60)]
    run = tune(data=rows)
    assert run.labels == (0, 1, 2)
    for one in (run, tfft.load(run.folder)):
        labels = [answer["label"] for answer in one.predict(["a", "b"])]
        assert [type(label) for label in labels] == [int, int]
    assert run.evaluate(rows).metrics["accuracy"] >= 0.3


def test_without_validation_and_test_the_last_weights_are_kept(tune):
    run = tune(validation=0, test=0, epochs=2)
    assert run.record["data"]["rows"] == {"train": 40}
    assert run.metrics == {}
    assert run.record["best_epoch"] == 2
    assert tfft.load(run.folder).predict(TEXTS) == run.predict(TEXTS)


def test_given_validation_and_test_rows_are_scored(tune, make_rows):
    run = tune(validation=make_rows(5, seed=1), test=make_rows(6, seed=2))
    assert run.record["data"]["rows"] == {"train": 40, "validation": 5, "test": 6}
    again = run.evaluate(make_rows(6, seed=2))
    assert again.metrics == run.metrics["test"]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_keras_hub_backbone_is_kept_in_the_run_folder(tune, backbone, method):
    import keras_hub

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, "good", "bad"]
    tokenizer = keras_hub.tokenizers.BertTokenizer(vocabulary=words, lowercase=True)
    run = tune(model=backbone, tokenizer=tokenizer, method=method, learning_rate=1e-2)
    assert run.record["model"]["source"] is None
    assert (run.folder / "base" / "config.json").is_file()
    assert tfft.load(run.folder).predict(TEXTS) == run.predict(TEXTS)


def test_a_backbone_that_cannot_be_trained_leaves_no_trace(tune, backbone, tmp_path):
    from tfft.models.tokenizer_files import word_piece

    with pytest.raises(ConfigError, match="without a tokenizer"):
        tune(model=backbone)
    tokenizer = word_piece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])
    with pytest.raises(ConfigError, match="matches no layer"):
        tune(
            model=backbone,
            tokenizer=tokenizer,
            method=tfft.LoRA(target="qery"),
            output_dir=tmp_path / "run",
        )
    assert list((tmp_path / "run").iterdir()) == []


def test_texts_longer_than_the_model_are_cut_and_counted(tune, make_rows, capsys):
    rows = [*make_rows(40), {"text": "good " * 90, "label": "pos"}]
    run = tune(data=rows, verbose=1, test=0, validation=0)
    shown = capsys.readouterr().out
    assert "note: max_length is the model's limit, 64" in shown
    assert "note: train: 1 of 41 rows are longer than 64 tokens" in shown
    assert run.record["task"]["max_length"] == 64
    assert scores(run, ["good " * 90]) == scores(run, ["good " * 200])


def test_weights_the_checkpoint_lacks_start_from_the_seed(tune, make_bert, tmp_path):
    from safetensors.numpy import load_file, save_file

    path = make_bert(tmp_path / "bare") / "model.safetensors"
    tensors = {k: v for k, v in load_file(path).items() if "pooler" not in k}
    save_file(tensors, path)
    one, same = (tune(model=tmp_path / "bare") for _ in range(2))
    assert "not in the checkpoint, random at the start: pooler" in one.record["notes"]
    assert scores(one) == scores(same) == scores(tfft.load(one.folder))
    assert scores(one) != scores(tune(model=tmp_path / "bare", seed=1))
