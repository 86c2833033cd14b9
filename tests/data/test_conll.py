"""CoNLL columns: what is read, and the line of what cannot be."""

from __future__ import annotations

import pytest

from tfft.core.errors import DataError
from tfft.data.conll import read_conll
from tfft.data.sources import read

GOOD = """-DOCSTART- -X- O

Ann NNP B-PER
sleeps VBZ O

-DOCSTART- -X- O

Rome NNP B-LOC
"""


@pytest.fixture
def write(tmp_path):
    def make(text, name="train.txt", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return make


def test_sentences_documents_and_lines(write):
    table = read_conll(write(GOOD))
    assert table.columns["tokens"] == [["Ann", "sleeps"], ["Rome"]]
    assert table.columns["ner_tags"] == [["B-PER", "O"], ["B-LOC"]]
    assert table.columns["column_2"] == [["NNP", "VBZ"], ["NNP"]]
    assert table.columns["document"] == [1, 2]
    assert table.lines == (3, 8)


def test_without_markers_there_is_no_document_and_the_end_needs_no_blank_line(write):
    table = read_conll(write("Ann B-PER\n\n\n \nRome B-LOC"))
    assert table.columns["tokens"] == [["Ann"], ["Rome"]]
    assert "document" not in table.columns
    assert table.lines == (1, 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("New York\tB-LOC\r\n", ["New York"]),  # tabs: blanks belong to the word
        ("a  \t  B-LOC\n", ["a  "]),
        ("a\u00a0b B-LOC\n", ["a\u00a0b"]),  # no blank between columns
        ("\ufeffa B-LOC\n", ["a"]),
        ("a\u2028b B-LOC\n", ["a\u2028b"]),
    ],
)
def test_what_parts_columns(write, text, words):
    assert read_conll(write(text)).columns["tokens"] == [words]


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ("a X O\nb O\n", 2, ["2 columns", "['b', 'O']", "expected 3"]),
        ("a O\n\nb X O\n", 3, ["3 columns", "expected 2"]),
        ("a\nb\n", 1, ["one column: 'a'", "a word and its tag"]),
        ("a\t\tO\n", 1, ["empty column"]),
        ("\n\n", 1, ["no words"]),
    ],
)
def test_a_bad_line_is_named(write, text, line, parts):
    path = write(text)
    with pytest.raises(DataError) as caught:
        read_conll(path)
    assert f"{path}:{line}" in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_a_folder_is_read_whatever_the_extension_when_it_is_said(write, tmp_path):
    write(GOOD)
    write("Rome B-LOC\n", "valid.txt")
    write("not a split", "metadata")
    tables = read(f"conll:{tmp_path}")
    assert {split: len(table) for split, table in tables.items()} == {
        "train": 2,
        "validation": 1,
    }
    assert read(write(GOOD, "a.conll"))["train"].columns == tables["train"].columns
    assert len(read(f"conll:{tmp_path / 'train.txt'}")["train"]) == 2
