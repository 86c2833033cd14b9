"""What token classification refuses, with the row, the word and why."""

from __future__ import annotations

import pytest

from tfft.core.errors import DataError
from tfft.data.sources import read
from tfft.fitting.prepare import prepare
from tfft.tasks.token_classification import TokenClassification


def words(*pairs):
    return {"tokens": [w for w, _ in pairs], "ner_tags": [t for _, t in pairs]}


GOOD = words(("Ann", "B-PER"), ("sleeps", "O"))
TEXT = {
    "text": "Ann lives in New York.",
    "spans": [
        {"start": 0, "end": 3, "label": "PER"},
        {"start": 13, "end": 21, "label": "LOC"},
    ],
}


def bad(rows, **options):
    table = read(rows)["train"]
    task = TokenClassification(**options)
    return [(one.row, one.column, one.reason) for one in task.bad_rows(table)]


def tags(rows, **options):
    return TokenClassification(**options).gold(read(rows)["train"], ())


def test_good_rows_have_no_faults():
    assert bad([GOOD]) == []
    assert bad([TEXT]) == []


@pytest.mark.parametrize(
    ("row", "column", "part"),
    [
        ({"tokens": [], "ner_tags": []}, "tokens", "no words"),
        ({"tokens": "Ann", "ner_tags": ["O"]}, "tokens", "str instead of a list"),
        ({"tokens": ["a", " "], "ner_tags": ["O", "O"]}, "tokens", "word 2 is ' '"),
        ({"tokens": ["a", 3], "ner_tags": ["O", "O"]}, "tokens", "word 2 is 3"),
        ({"tokens": ["a"], "ner_tags": ["O", "O"]}, "ner_tags", "2 tags for 1 words"),
        ({"tokens": ["a"], "ner_tags": [3]}, "ner_tags", "tag 1 is 3 instead of text"),
        (
            words(("a", "PER")),
            "ner_tags",
            "has no prefix such as B- (word 1, 'a')",
        ),
        (words(("a", "O"), ("b", "Q-PER")), "ner_tags", "unknown scheme (word 2, 'b')"),
    ],
)
def test_rows_of_words(row, column, part):
    [(index, name, reason)] = bad([GOOD, row])
    assert (index, name) == (1, column)
    assert part in reason


@pytest.mark.parametrize(
    ("spans", "part"),
    [
        ([{"start": 0, "end": 30, "label": "X"}], "0 to 30 beyond the text of 22"),
        ([[0, 2, "PER"]], "cuts a word: 'An'"),
        ([[0, 3, "PER"], [0, 9, "PER"]], "overlaps the one before"),
        ([{"start": 0, "label": "X"}], "without start, end and label"),
        ([[0, 3, "O"]], "without start, end and label"),
        ("PER", "str instead of a list of spans"),
    ],
)
def test_rows_of_texts(spans, part):
    [(index, name, reason)] = bad([TEXT, {**TEXT, "spans": spans}])
    assert (index, name) == (1, "spans")
    assert part in reason


def test_a_text_without_words_is_a_bad_row():
    assert bad([TEXT, {"text": " \n", "spans": []}]) == [(1, "text", "no words")]


def test_rows_that_break_the_scheme_of_the_others_are_bad():
    odd = words(("Ann", "I-PER"))
    [(index, _, reason)] = bad([GOOD, GOOD, odd])
    assert index == 2
    assert "'I-PER' begins a span without B- as IOB2 requires" in reason
    assert bad([odd]) == []  # by itself it is IOB1
    [(_, _, reason)] = bad([odd], scheme="IOB2")
    assert "IOB2" in reason


def test_every_scheme_ends_as_iob2():
    assert tags([words(("A", "I-X"), ("B", "B-X"), ("C", "I-X"))]) == [
        ["B-X", "B-X", "I-X"]
    ]
    assert tags([words(("A", "B-X"), ("B", "E-X"), ("C", "S-Y"))]) == [
        ["B-X", "I-X", "B-Y"]
    ]
    assert tags([TEXT]) == [["B-PER", "O", "O", "B-LOC", "I-LOC", "O"]]


def test_the_columns_can_be_named():
    row = {"w": ["A"], "t": ["B-X"], "body": "A", "marks": [[0, 1, "Y"]]}
    assert tags([row], tokens="w", tags="t") == [["B-X"]]
    assert tags([row], text="body", spans="marks") == [["B-Y"]]
    with pytest.raises(DataError, match='column "tokens" is missing'):
        bad([row])


def prepared(tmp_path, text, **options):
    path = tmp_path / "train.conll"
    path.write_text(text)
    given = {"validation": 0, "test": 0, "on_bad_rows": "error", "seed": 0, **options}
    return prepare(TokenClassification(), path, **given)


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (
            "a B-X\n\nb O\nc PER\n",
            3,
            "'PER' has no prefix such as B- (word 2",
        ),
        ("a B-X\n\nb Z-X\n", 3, "unknown scheme"),
        ("a B-X\n\nb B-X\n\nc I-X\n", 5, "begins a span without B-"),
        ("a B-X\n\nb X O\n", 3, "3 columns"),
    ],
)
def test_bad_files_are_refused_with_file_and_line(tmp_path, text, line, part):
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, text)
    assert f"train.conll:{line}" in str(caught.value)
    assert part in str(caught.value)


def test_a_type_that_training_lacks_is_refused_with_file_and_line(tmp_path):
    (tmp_path / "test.conll").write_text("a O\n\nin O\nRome B-LOK\n")
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, "a B-LOC\n", test=str(tmp_path / "test.conll"))
    for part in ("type 'LOK' of 'Rome' in the test rows", "test.conll:3, word 2",
                 'did you mean "LOC"'):  # fmt: skip
        assert part in str(caught.value)


def test_a_file_without_spans_is_refused(tmp_path):
    with pytest.raises(DataError, match="no spans: every word of 1 rows is O"):
        prepared(tmp_path, "a O\n")


def test_labels_are_sorted_by_type(tmp_path):
    assert prepared(tmp_path, "a B-X\nb I-X\nc B-A\n").labels == (
        "O", "B-A", "I-A", "B-X", "I-X",
    )  # fmt: skip
