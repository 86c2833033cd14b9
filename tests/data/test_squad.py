"""SQuAD's files: rows and lines, and what is wrong with a bad one."""

from __future__ import annotations

import json

import pytest

from tfft.core.errors import DataError
from tfft.data.sources import read
from tfft.data.squad import read_squad


def question(name, answers=(("Rome", 3),), **more):
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": "Where?", "answers": found, **more}


def squad(*questions, context="In Rome.", title="Cities"):
    paragraph = {"context": context, "qas": list(questions)}
    return {"version": "1.1", "data": [{"title": title, "paragraphs": [paragraph]}]}


@pytest.fixture
def write(tmp_path):
    def make(value, indent=1):
        path = tmp_path / "dev.json"
        text = value if isinstance(value, str) else json.dumps(value, indent=indent)
        path.write_text(text)
        return path

    return make


def test_each_question_is_a_row(write):
    table = read(write(squad(question("a"), question("é"))))["train"]
    assert table.columns["id"] == ["a", "é"]
    assert table.columns["context"] == ["In Rome."] * 2
    assert table.columns["title"] == ["Cities"] * 2
    assert table.columns["answers"][0] == [{"text": "Rome", "answer_start": 3}]


def test_questions_have_the_lines_of_their_ids(write):
    path = write(squad(question("a"), question("b"), question("é")))
    lines = path.read_text().splitlines()
    for row, name in enumerate(('"a"', '"b"', '"\\u00e9"')):
        line = read_squad(path).lines[row]
        assert name in lines[line - 1]


def test_an_impossible_question_has_no_answer(write):
    value = squad(question("a", is_impossible=True, plausible_answers=[]))
    assert read_squad(write(value)).columns["answers"] == [[]]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (squad(question("a"), question("a")), ["id 'a' occurs twice", "on line "]),
        ("{", ["invalid JSON", "dev.json:1"]),
        ("[1, 2]", ["file holds [1, 2]", ".jsonl"]),
        (squad({"id": "a", "question": "?"}), ['"answers" is missing', "question a"]),
        (squad({"question": "?"}), ['"id" is missing', "article 1, paragraph 1"]),
        (squad(question("a", [("Rome", "3")])), ['"answer_start" is missing or of']),
        (squad(), ["no questions"]),
        ({"data": [{"title": "x"}]}, ['"paragraphs" is missing']),
    ],
)
def test_a_bad_file_is_refused(write, value, parts):
    with pytest.raises(DataError) as caught:
        read_squad(write(value))
    for part in ("dev.json", *parts):
        assert part in str(caught.value)


def test_the_second_of_two_equal_ids_is_named_by_its_line(write):
    path = write(squad(question("a"), question("b"), question("a")))
    lines = path.read_text().splitlines()
    at = [index + 1 for index, line in enumerate(lines) if '"id": "a"' in line]
    with pytest.raises(DataError, match=rf"first on line {at[0]} · .*:{at[1]} "):
        read_squad(path)


def test_ids_may_be_whole_numbers(write):
    # The places of the answers are the same numbers.
    questions = [question(3), question(40), question(4), question("5")]
    path = write(squad(*questions))
    table = read_squad(path)
    assert table.columns["id"] == ["3", "40", "4", "5"]
    lines = path.read_text().splitlines()
    found = [lines[line - 1].strip(" ,") for line in table.lines]
    assert found == ['"id": 3', '"id": 40', '"id": 4', '"id": "5"']


@pytest.mark.parametrize("name", [True, 1.5, None])
def test_other_ids_are_refused(write, name):
    with pytest.raises(DataError, match=r'"id" is missing or of another type'):
        read_squad(write(squad(question(name))))


def test_an_id_given_as_number_and_as_text_stands_twice(write):
    with pytest.raises(DataError, match="id '7' occurs twice"):
        read_squad(write(squad(question(7), question("7"))))


def test_a_title_that_is_null_is_empty(write):
    assert read_squad(write(squad(question("a"), title=None))).columns["title"] == [""]
