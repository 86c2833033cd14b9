"""What a training, an inspection and an evaluation say of their rows."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import tfft
from tests.fixtures.bert import VOCABULARY
from tfft.fitting.token_notes import spelled_note, unknown_note
from tfft.models.tokenizer_files import read_tokenizer, word_piece
from tfft.recipes.inspect import inspect_data
from tfft.tasks.windows import row_length

CHINESE = ["好 good", "坏 bad", "很 好"]


def chinese_rows(count=40):
    return [
        {"text": f"{CHINESE[i % 3]} {'abc'[i % 3]}", "label": i % 2}
        for i in range(count)
    ]


def test_unknown_tokens_are_counted_in_training_and_inspection(
    tune, bert_folder, capsys
):
    rows = chinese_rows()
    run = tune(data=rows, verbose=1, test=0, validation=0)
    shown = " ".join(capsys.readouterr().out.split())
    tokens = [token for row in rows for token in row["text"].split()]
    unknown = sum(token not in VOCABULARY for token in tokens)
    share = f"{unknown} of {len(tokens)} tokens ({unknown / len(tokens):.0%}) are [UNK]"
    assert unknown / len(tokens) > 0.4
    assert f"note: train: {share}" in shown
    assert any(share in note for note in run.record["notes"])
    notes = inspect_data(rows, model=bert_folder).notes
    assert any(share in note for note in notes)


@pytest.mark.parametrize(("unknown", "said"), [(0, 0), (5, 0), (6, 1), (100, 1)])
def test_few_unknown_tokens_are_not_worth_a_word(unknown, said):
    tokenizer = word_piece(VOCABULARY)
    ids = [VOCABULARY.index(one) for one in ("[CLS]", "[UNK]", "a", "[SEP]")]
    rows = [[ids[0], *[ids[1]] * unknown, *[ids[2]] * (100 - unknown), ids[3]]]
    assert len(unknown_note(rows, tokenizer)) == said


def test_the_end_of_a_text_is_not_unknown(make_tokenizer):
    tokenizer = make_tokenizer()
    tokenizer.roles["unk"] = tokenizer.roles["eos"]  # as GPT-2's files say
    assert unknown_note([[tokenizer.eos_id] * 9], tokenizer) == []


def test_special_tokens_in_texts_are_counted_and_the_fix_works(
    tune, bert_folder, tmp_path, capsys
):
    folder = shutil.copytree(bert_folder, tmp_path / "model")
    tokenizer = read_tokenizer(folder)
    tokenizer.library.add_special_tokens(["[USER]"])
    tokenizer.save(folder)
    rows = [
        {"text": text, "label": number % 2}
        for number, text in enumerate(
            ["[USER] a", "b [SEP]", "[USER] [USER]", "a b"] * 3
        )
    ]
    said = "6 of 12 rows spell special tokens ([USER]), which are read as letters"
    run = tune(data=rows, model=folder, verbose=1, test=0, validation=0)
    assert f"note: train: {said}" in " ".join(capsys.readouterr().out.split())
    assert sum(said in note for note in run.record["notes"]) == 1
    assert any(said in note for note in inspect_data(rows, model=folder).notes)

    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    for token in content["added_tokens"]:
        token["special"] = token["special"] and token["content"] != "[USER]"
    path.write_text(json.dumps(content))
    tokenizer = read_tokenizer(folder)
    ids = tokenizer.encode(["[USER] a"], None, 8)[0].token_ids
    assert tokenizer.library.token_to_id("[USER]") in ids
    assert spelled_note([("[USER] a",)], tokenizer) == []


def notes_of(run, rows):
    return [note for note in run.evaluate(rows).notes if "trained on" in note]


def test_rows_that_were_trained_on_are_said(tiny_run, make_rows):
    seen = make_rows()  # 80, of which a tenth each is validation and test
    fresh = [{**row, "text": f"{row['text']} x"} for row in seen[:5]]
    (note,) = notes_of(tiny_run, [*seen, *fresh])
    assert note.startswith("64 of 85 rows were trained on")
    assert notes_of(tiny_run, fresh) == []
    assert notes_of(tfft.load(tiny_run.folder), [*seen, *fresh]) == [note]


def test_an_ensemble_knows_the_rows_of_all_members(tune, make_rows, tmp_path):
    parts = [make_rows(24), make_rows(24, seed=9)]
    options = {"validation": 0, "test": 0, "method": "head"}
    folders = [
        tune(data=rows, output_dir=tmp_path / name, **options).folder
        for rows, name in zip(parts, "ab", strict=True)
    ]
    joined = tfft.ensemble(folders, verbose=0)
    soup = tfft.ensemble(folders, how="soup", output_dir=tmp_path / "c", verbose=0)
    for one in (joined, soup):
        (note,) = notes_of(one, parts[0] + parts[1])
        assert note.startswith("48 of 48 rows")


def test_a_run_of_before_says_nothing(tune, make_rows):
    run = tune(data=make_rows(24))
    (run.folder / "trained_rows.npy").unlink()
    assert notes_of(tfft.load(run.folder), make_rows(24)) == []


def test_words_that_are_all_o_are_said(tune, capsys):
    rows = [
        {"tokens": ["good", "ab", "c"], "ner_tags": ["O", "O", "B-X" if i % 3 else "O"]}
        for i in range(40)
    ]
    task = {"name": "token_classification", "class_weights": {"B-X": 0.0, "I-X": 0.0}}
    options = {"learning_rate": 0.1, "epochs": 4, "test": rows[:9], "verbose": 1}
    run = tune(data=rows, task=task, **options)
    shown = " ".join(capsys.readouterr().out.split())
    assert "note: every word is tagged O: none of 6 entities is found" in shown
    report = run.evaluate(rows)
    assert report.metrics["f1"] == 0.0
    assert "every word is tagged O: none of 26 entities is found" in " ".join(
        report.notes
    )
    assert any(note.startswith("test: every word is") for note in run.record["notes"])


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("stride", [0, 3])
def test_the_length_of_a_row_is_that_of_its_whole_text(pair, stride):
    tokenizer = word_piece(VOCABULARY)
    generator = np.random.default_rng(0)
    for count in (0, 1, 5, 17, 60):
        text = " ".join(generator.choice(list("abc"), count))
        question = ["a b"] if pair else None
        texts = (question or [text], [text] if pair else None)
        (windows,) = tokenizer.windows(*texts, 12, stride)
        (whole,) = tokenizer.encode(*texts, 9999)
        assert row_length(windows, stride) == len(whole.token_ids)


def test_inspect_shows_rows_and_not_windows(bert_folder):
    rows = [
        {"tokens": ["a"] * count, "ner_tags": ["B-X"] * count} for count in (300, 3, 5)
    ]
    found = inspect_data(rows, "token_classification", bert_folder)
    labels, lengths, examples = found.tables
    assert lengths.rows[1][:5] == ("tokens", "7", "243", "296", "302")
    assert [row[0].count("X") for row in examples.rows] == [300, 3, 5]
    shown = [row[1].split("[SEP]")[0].count(" a") for row in examples.rows[1:]]
    assert shown == [3, 5]
    assert labels.rows[0][0] == "X"


def test_inspect_lists_rows_that_the_model_cannot_take(
    make_decoder, make_tokenizer, tmp_path
):
    model = tfft.export_huggingface(make_decoder(), tmp_path / "m", make_tokenizer())
    # The template refuses two answers in a row.
    chats = [("user", "assistant"), ("user", "assistant", "assistant")]
    rows = [
        {"messages": [{"role": role, "content": "a"} for role in chat]}
        for chat in chats
    ]
    found = inspect_data(rows, "causal_lm", model)
    (problem,) = found.problems
    assert problem.startswith("list row 2: ")
