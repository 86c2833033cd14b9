"""The commands, on a run of the tiny BERT."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfft.cli.main import main

TEXTS = ["good abc", "bad cab", ""]


@pytest.fixture
def call(capsys):
    """Runs a command and returns its output, or the words of it."""

    def run(*words, code=0):
        assert main([str(word) for word in words]) == code
        return capsys.readouterr().out

    return run


def test_predict_shows_a_row_for_each_text(tiny_run, call):
    shown = call("predict", tiny_run.folder, *TEXTS)
    rows = [line.strip("│").split("│") for line in shown.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        [text, answer["label"], f"{answer['score']:.4f}"]
        for text, answer in zip(TEXTS, tiny_run.predict(TEXTS), strict=True)
    ]


def test_predict_as_json_gives_what_python_gives(tiny_run, call):
    lines = call("predict", tiny_run.folder, *TEXTS, "--json").splitlines()
    assert [json.loads(line) for line in lines] == tiny_run.predict(TEXTS)


def test_predict_answers_for_the_rows_of_a_file(tiny_run, call, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("id,text\n" + "".join(f"7,{text}\n" for text in TEXTS))
    lines = call("predict", tiny_run.folder, "--file", path, "--json").splitlines()
    assert [json.loads(line) for line in lines] == tiny_run.predict(TEXTS)
    assert "row 3" in call("predict", tiny_run.folder, "--file", path)


def test_predict_refuses_a_row_that_is_no_text(tiny_run, tmp_path, capsys):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "a"}\n{"text": null}\n')
    assert main(["predict", str(tiny_run.folder), "--file", str(path)]) == 65
    assert f"None is not text · {path}:2" in capsys.readouterr().err


def test_evaluate_scores_a_file(tiny_run, call, tmp_path, make_rows):
    rows = make_rows(30, seed=5)
    path = tmp_path / "more.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = json.loads(call("evaluate", tiny_run.folder, path, "--json"))
    labels = [answer["label"] for answer in tiny_run.predict([r["text"] for r in rows])]
    right = np.mean([a == row["label"] for a, row in zip(labels, rows, strict=True)])
    assert report["summary"]["rows"] == 30
    assert report["summary"]["accuracy"] == pytest.approx(right)
    assert np.sum(report["confusion"]) == 30
    shown = call("evaluate", tiny_run.folder, path)
    assert f"{report['summary']['macro_f1']:.4f}" in shown
    assert "Confusion matrix" in shown


def test_evaluate_refuses_a_class_training_did_not_have(tiny_run, tmp_path, capsys):
    path = tmp_path / "more.csv"
    path.write_text("text,label\na,pos\nb,neutral\n")
    assert main(["evaluate", str(tiny_run.folder), str(path)]) == 65
    assert f"'neutral' of the given rows is absent from train · {path}:3" in (
        capsys.readouterr().err
    )


def test_evaluate_says_which_rows_it_left_out(tiny_run, call, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("text,label\ngood a,pos\n,neg\nbad b,neg\n")
    shown = call("evaluate", tiny_run.folder, path, "--on_bad_rows", "skip")
    assert "note: left out 1 of 3 rows: empty text" in shown
    assert "more.csv:3" in shown


def test_export_writes_for_transformers_when_asked(tiny_run, call, tmp_path):
    folder = tmp_path / "out"
    shown = call("export", tiny_run.folder, folder, "--format", "huggingface")
    assert shown == f"exported: {folder}\n"
    assert (folder / "model.safetensors").is_file()


def test_export_prints_the_version_folder(tiny_run, call, tmp_path):
    shown = call("export", tiny_run.folder, tmp_path / "served")
    assert shown == f"exported: {tmp_path / 'served' / '1'}\n"
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()


def test_export_takes_rows_to_prove_it_on_and_a_dtype(
    tiny_run, call, tmp_path, make_rows
):
    data = tmp_path / "rows.csv"
    lines = [f"{row['text']},{row['label']}" for row in make_rows(12, seed=1)]
    data.write_text("\n".join(["text,label", *lines]))
    words = ["export", tiny_run.folder, tmp_path / "served", "--data", data]
    shown = call(*words, "--dtype", "int8", "--min_agreement", "0.5")
    assert "int8: same answer as the run on " in shown
    assert "of 21 rows" in shown  # 12, and the 9 hard ones
    assert shown.endswith(f"exported: {tmp_path / 'served' / '1'}\n")


def test_export_for_transformers_has_no_dtype(tiny_run, tmp_path, capsys):
    words = ["export", str(tiny_run.folder), str(tmp_path / "x"), "--dtype", "int8"]
    assert main([*words, "--format", "huggingface"]) == 2
    assert "--dtype with --format huggingface" in capsys.readouterr().err


def test_inspect_data_shows_labels_lengths_and_rows(call, tmp_path, bert_folder):
    path = tmp_path / "a.csv"
    path.write_text("body,label\ngood,pos\ngood,pos\nbad a,neg\nbad b,neg\n")
    shown = call("inspect", path, "--task.text", "body", "--model", bert_folder)
    words = [line.split() for line in shown.replace("│", " ").splitlines()]
    assert ["pos", "2", "50.0%"] in words
    assert ["copies", "of", "a", "text", "1", "25.0%"] in words
    assert ["tokens", "4", "4", "4", "4", "0", "rows", "(0%)"] in words
    assert ["pos", "'[CLS]", "good", "[SEP]'"] in words


def test_inspect_data_lists_bad_rows_and_ends_with_65(call, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,x\n,y\nb,\n")
    shown = call("inspect", path, code=65)
    assert f"{path}:3: empty text · text\n{path}:4: empty label · label\n" in shown


def test_inspect_a_run_shows_its_options_and_scores(tiny_run, call):
    shown = call("inspect", tiny_run.folder)
    record = tiny_run.record
    accuracy = f"{record['metrics']['test']['accuracy']:.4f}"
    for part in ("complete", "lora", "neg, pos", "64 train", accuracy, "val_loss"):
        assert part in shown
    assert f"{record['cost']['trainable']:,} of {record['cost']['total']:,}" in shown


def test_inspect_a_model_names_the_places_for_adapters(call, bert_folder):
    shown = call("inspect", "--model", bert_folder)
    words = [line.split() for line in shown.replace("│", " ").splitlines()]
    assert ["layers", "2"] in words
    assert ["longest", "input", "64", "tokens"] in words
    place = ["layers.N.attention.query", "encoder.layer.N.attention.self.query"]
    assert place in words


def test_the_command_line_overrides_the_yaml_file(
    bert_folder, call, make_rows, tmp_path
):
    rows = "".join(f"{row['text']}\t{row['label']}\n" for row in make_rows(40))
    (tmp_path / "reviews.tsv").write_text("words\tlabel\n" + rows)
    (tmp_path / "a.yaml").write_text(
        f"model: {bert_folder}\ndata: {tmp_path / 'reviews.tsv'}\n"
        f"output_dir: {tmp_path / 'wrong'}\nepochs: 7\nbatch_size: 8\n"
        "method: {name: lora, rank: 2, alpha: 4}\ntask: {name: text_classification, "
        "text: words}\n"
    )
    shown = call(
        "finetune", "--config", tmp_path / "a.yaml", "--epochs", "1", "--method.rank",
        "3", "--output_dir", tmp_path / "run", "--precision=float32",
    )  # fmt: skip
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    config = record["config"]
    assert (config["epochs"], config["batch_size"]) == (1, 8)
    assert (config["method"]["rank"], config["method"]["alpha"]) == (3, 4.0)
    assert record["task"]["text"] == ["words"]
    assert not (tmp_path / "wrong").exists()
    assert "data: 32 train, 4 validation, 4 test rows · 2 labels: neg, pos" in shown
    assert "4 steps in 1 epochs" in shown
    assert (
        "training: lora, adamw, learning rate 0.001 (lora default), float32 on "
        in shown
    )
