"""Rows of every task, and a quick training on the tiny BERT."""

from __future__ import annotations

import random

import pytest

from tests.language import make_decoder, make_tokenizer

__all__ = [
    "letters",
    "make_decoder",
    "make_questions",
    "make_tagged",
    "make_tokenizer",
    "tune",
]

NAMES = ("abba", "dada", "coco", "lulu")
PLACES = ("xylo", "zeze")


def tagged_rows(count=60, seed=0):
    """Returns rows of words: four names and two places among noise."""
    generator = random.Random(seed)
    rows = []
    for _ in range(count):
        tokens, tags = [], []
        for _ in range(generator.randint(2, 6)):
            word, tag = generator.choice(
                [
                    (generator.choice(NAMES), "PER"),
                    (generator.choice(PLACES), "LOC"),
                    ("good", "O"),
                    ("bad", "O"),
                ]
            )
            tokens.append(word)
            tags.append(tag if tag == "O" else f"B-{tag}")
        rows.append({"tokens": tokens, "ner_tags": tags})
    return rows


def question_rows(count=60, silent=0, seed=0):
    """Returns questions whose answer is "good"; the first contexts have none."""
    generator = random.Random(seed)
    rows = []
    for index in range(count):
        words = generator.choices("abcdefgh", k=6)
        if index >= silent:
            words[generator.randrange(6)] = "good"
        context = " ".join([*words, str(index)])
        at = context.find("good")
        rows.append(
            {
                "id": str(index),
                "question": "bad?",
                "context": context,
                "answers": [{"text": "good", "answer_start": at}] if at >= 0 else [],
            }
        )
    return rows


@pytest.fixture(scope="session")
def make_tagged():
    """The function `tagged_rows`."""
    return tagged_rows


@pytest.fixture(scope="session")
def make_questions():
    """The function `question_rows`."""
    return question_rows


@pytest.fixture(scope="session")
def letters():
    """A tokenizer whose tokens are letters and a few words."""
    from tests.conftest import VOCABULARY
    from tfft.models.tokenizer_files import word_piece

    return word_piece(VOCABULARY)


@pytest.fixture(scope="session", autouse=True)
def _one_character_table():
    """Each export asks the tokenizer about a million characters; once will do."""
    from tfft.text.graph import word_piece

    with pytest.MonkeyPatch.context() as patched:
        tables = {}

        def remember(tokenizer, make=word_piece.character_table):
            key = tokenizer.to_json()
            if key not in tables:
                tables[key] = make(tokenizer)
            return tables[key]

        patched.setattr(word_piece, "character_table", remember)
        yield


@pytest.fixture(scope="session")
def tune(bert_folder, tmp_path_factory):
    """Fine-tunes the tiny BERT, unless told otherwise."""
    import tfft

    def run(**options):
        return tfft.finetune(
            **{
                "model": bert_folder,
                "output_dir": tmp_path_factory.mktemp("tune") / "run",
                "method": "full",
                "epochs": 1,
                "learning_rate": 1e-2,
                "precision": "float32",
                "verbose": 0,
                **options,
            }
        )

    return run
