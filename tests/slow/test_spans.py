"""Spans and answers are parts of real texts; the network says anything at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.bert import VOCABULARY
from tfft.data.sources import read
from tfft.models.tokenizer_files import word_piece
from tfft.tasks.question_answering import QuestionAnswering
from tfft.tasks.token_classification import TokenClassification

pytestmark = pytest.mark.slow

SPAM = Path(__file__).parents[2] / "examples" / "data" / "spam"
LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


@pytest.fixture(scope="module")
def mails():
    """The beginnings of 5,000 real mails."""
    tables = read(SPAM)
    texts = [text for table in tables.values() for text in table.column("text")]
    assert len(texts) > 5000
    return [text[:300] for text in texts[:5000]]


def said_at_random(task, table, labels, outputs):
    tokenizer = word_piece(VOCABULARY)
    encoded = task.encode(table, tokenizer, None)
    random = np.random.default_rng(0)
    said = [
        random.normal(0, 3, (length, outputs)).astype("float32")
        for length in encoded.examples.lengths
    ]
    return task.decode(said, encoded, table, labels)


def test_spans_of_5000_mails(mails):
    task = TokenClassification(max_length=128, stride=32)
    table = task.rows(mails)
    predictions = said_at_random(task, table, LABELS, len(LABELS))
    answers = task.answers(predictions, table, LABELS)
    spans = [(mail, one) for mail, answer in zip(mails, answers, strict=True)
             for one in answer["spans"]]  # fmt: skip
    assert len(spans) > 50_000
    for mail, one in spans:
        assert mail[one["start"] : one["end"]] == one["text"] != ""


def test_answers_in_5000_mails(mails):
    task = QuestionAnswering(max_length=128, stride=32, max_question=16)
    table = task.rows([("good or bad?", mail) for mail in mails])
    predictions = said_at_random(task, table, (), 2)
    answers = task.answers(predictions, table, ())
    for mail, answer in zip(mails, answers, strict=True):
        assert mail[answer["start"] : answer["end"]] == answer["answer"] != ""
        for one in answer["candidates"]:
            assert mail[one["start"] : one["end"]] == one["text"]
