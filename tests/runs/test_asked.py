"""Whatever holds rows is asked about alike; what holds none is refused in one line."""

from __future__ import annotations

import json
from collections import deque

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

import tfft
from tfft.core.errors import ConfigError, DataError, MissingInputError, TfftError
from tfft.methods.method import METHODS
from tfft.models.pretrained import load_pretrained
from tfft.runs.build import build
from tfft.runs.predictor import Predictor
from tfft.tasks.task import TASKS

WORDS = ["good abc", "bad cab", "good"]
PAIRS = [("good", "abc"), ("bad", "cab"), ("a", "good")]
# Task and options, labels, inputs as a list, and the columns they are in a table.
CASES = {
    "text": ("text_classification", {}, "ab", WORDS, ["text"]),
    "named": ("text_classification", {"text": "body"}, "ab", WORDS, ["body"]),
    "pair": ("text_classification", {"text": "a,b"}, "ab", PAIRS, ["a", "b"]),
    "labels": ("multi_label", {}, "ab", WORDS, ["text"]),
    "number": ("regression", {"text": "a,b"}, "", PAIRS, ["a", "b"]),
    "words": ("token_classification", {}, ("O", "B-X", "I-X"),
              [["good", "ab"], ["bad"], ["a", "b", "c"]], ["tokens"]),
    "spans": ("token_classification", {}, ("O", "B-X", "I-X"), WORDS, ["text"]),
    "answer": ("question_answering", {}, "", PAIRS, ["question", "context"]),
}  # fmt: skip


def as_frame(rows, folder):
    return pytest.importorskip("pandas").DataFrame(rows)


def as_columns(rows, folder):
    return {name: [row[name] for row in rows] for name in rows[0]}


def as_rows(rows, folder):
    return rows


def as_arrow(rows, folder):
    return pyarrow.Table.from_pylist(rows)


def as_foreign_frame(rows, folder):
    class Frame:
        """What Polars and DuckDB give: a stream of Arrow, and names in a loop."""

        columns = tuple(rows[0])

        def __iter__(self):
            return iter(self.columns)

        def __arrow_c_stream__(self, schema=None):
            return pyarrow.Table.from_pylist(rows).__arrow_c_stream__(schema)

    return Frame()


def as_dataset(rows, folder):
    import tensorflow as tf

    values = as_columns(rows, folder)
    ragged = {k: tf.ragged.constant(v) for k, v in values.items() if k == "tokens"}
    return tf.data.Dataset.from_tensor_slices({**values, **ragged})


def as_jsonl(rows, folder):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def as_parquet(rows, folder):
    path = folder / "rows.parquet"
    pyarrow.parquet.write_table(as_arrow(rows, folder), path)
    return path


def as_splits(rows, folder):
    return {"train": rows[:1], "test": rows}


FORMS = [as_frame, as_columns, as_rows, as_arrow, as_foreign_frame, as_dataset,
         as_jsonl, as_parquet, as_splits]  # fmt: skip


@pytest.fixture(scope="module")
def make_run(bert_folder):
    """A predictor that was not trained: what it answers is not the question."""
    runs = {}

    def make(case):
        if case not in runs:
            name, options, labels, *_ = CASES[case]
            pretrained = load_pretrained(bert_folder)
            task, _ = TASKS.resolve({"name": name, **options}).suited_to(pretrained)
            built = build(task, METHODS.resolve("head"), pretrained, tuple(labels), 0)
            runs[case] = Predictor(built, task, tuple(labels))
        return runs[case]

    return make


def table_rows(case):
    """Returns the inputs as rows, with a column the task has no use for."""
    *_, inputs, names = CASES[case]
    values = [one if len(names) > 1 else (one,) for one in inputs]
    return [{"id": "x", **dict(zip(names, row, strict=True))} for row in values]


@pytest.mark.parametrize("case", CASES)
def test_every_form_has_the_answers_of_a_list(case, make_run, tmp_path):
    run = make_run(case)
    expected = run.predict(CASES[case][3])
    assert len(expected) == 3
    assert expected[0] != expected[2]
    for form in FORMS:
        found = run.predict(form(table_rows(case), tmp_path))
        assert found == expected, form.__name__


def test_columns_and_arrays_are_lists(make_run):
    import tensorflow as tf

    pandas = pytest.importorskip("pandas")
    run, pair = make_run("text"), make_run("pair")
    forms = [
        np.array(WORDS),
        np.array([word.encode() for word in WORDS]),
        pandas.Series(WORDS, index=[7, 8, 9]),
        pandas.DataFrame({"t": WORDS})["t"],
        pandas.Series(WORDS, dtype="string"),
        pyarrow.array(WORDS),
        pyarrow.chunked_array([WORDS[:1], WORDS[1:]]),
        tf.constant(WORDS),
        tuple(WORDS),
        deque(WORDS),
        {1: WORDS[0], 2: WORDS[1], 3: WORDS[2]}.values(),
        iter(WORDS),
    ]
    expected = run.predict(WORDS)
    for form in forms:
        assert run.predict(form) == expected, type(form)
    assert pair.predict(np.array(PAIRS)) == pair.predict(PAIRS)


@pytest.mark.parametrize(
    ("inputs", "kind", "said"),
    [
        ("good", DataError, "inputs are a single text: 'good'"),
        (b"good", DataError, "inputs are a single"),
        ("See version 1.2", DataError, "inputs are a single"),
        (
            {"text": "good"},
            DataError,
            r"inputs are a single row: .*fix: put it into a list",
        ),
        ({"good", "bad"}, ConfigError, "is of type set"),
        (3, ConfigError, "3 is of type int"),
        (None, ConfigError, "None is of type NoneType"),
        ([1.5], DataError, "input 1 is 1.5"),
        (np.zeros(2), DataError, "input 1 is 0.0"),
        ({"txt": ["good"]}, DataError, r'column "text" is missing.*did you mean "txt"'),
        ({"text": ["good", None]}, DataError, "None is not text · dict row 2"),
        ({"text": ["good", float("nan")]}, DataError, "None is not text · dict row 2"),
        ("missing.csv", MissingInputError, "'missing.csv' is not there"),
        ("rows.xlsx", MissingInputError, "'rows.xlsx' is not there"),
    ],
)
def test_what_holds_no_rows_is_refused_in_one_line(make_run, inputs, kind, said):
    with pytest.raises(kind, match=said) as raised:
        make_run("text").predict(inputs)
    assert "\n" not in str(raised.value)


def test_a_frame_without_the_column_is_refused(make_run):
    frame = as_frame([{"text": "good"}], None)
    with pytest.raises(DataError, match='column "body" is missing'):
        make_run("named").predict(frame)
    series = frame["text"]
    with pytest.raises(ConfigError, match="is of type Series") as raised:
        make_run("text").evaluate(series)
    assert "\n" not in str(raised.value)


def test_evaluate_takes_what_training_takes(tiny_run, make_rows, tmp_path):
    rows = make_rows(20, seed=3)
    expected = tiny_run.evaluate(rows).metrics
    for form in FORMS:
        assert tiny_run.evaluate(form(rows, tmp_path)).metrics == expected


def test_an_arrow_table_is_data(tune, make_rows):
    rows = make_rows(40)
    run, other = tune(data=pyarrow.Table.from_pylist(rows)), tune(data=rows)
    assert run.record["data"] == other.record["data"]


PROMPTS = [{"prompt": "ab"}, {"prompt": "c"}]
CHATS = [{"messages": [{"role": "user", "content": text}]} for text in ("ab", "c")]


@pytest.mark.parametrize("rows", [PROMPTS, CHATS], ids=["prompts", "messages"])
def test_every_form_of_prompts_is_gone_on_from(
    rows, make_decoder, make_tokenizer, tmp_path
):
    model, tokenizer = make_decoder(), make_tokenizer()

    def texts(prompts):
        options = {"tokenizer": tokenizer, "max_new_tokens": 3}
        return [one.text for one in tfft.generate(model, prompts, **options)]

    expected = texts([next(iter(row.values())) for row in rows])
    assert len(expected) == 2
    for form in FORMS:
        if form is as_dataset and rows is CHATS:
            continue  # tf.data has no lists of dicts
        assert texts(form(rows, tmp_path)) == expected, form.__name__
    if rows is PROMPTS:
        assert texts(np.array(["ab", "c"])) == expected
        assert texts(as_frame(rows, None)["prompt"]) == expected
        with pytest.raises(TfftError, match="prompts are a single text"):
            texts("ab")
        with pytest.raises(TfftError, match="a row of text has no prompt"):
            texts(as_frame([{"text": "ab"}], None))
