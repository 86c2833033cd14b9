"""What the oracle of tagging makes of logits."""

import numpy as np
from bench_peers.sentences import TAGS, read_conll
from bench_peers.torch_tagging import encode, entity_f1, tags_of

IGNORED = -100


class Words(dict):
    """What a tokenizer of transformers returns."""

    def word_ids(self, row):
        return self["words"][row]


def test_a_tag_stands_on_the_first_token_of_its_word():
    def tokenizer(rows, **options):
        assert rows == [["Zoë", "left"]]
        assert options["is_split_into_words"]
        return Words(input_ids=[[2, 7, 8, 9, 3]], words=[[None, 0, 0, 1, None]])

    rows = [{"tokens": ["Zoë", "left"], "ner_tags": ["B-PER", "O"]}]
    [encoded] = encode(tokenizer, rows, 128)
    assert encoded["labels"] == [IGNORED, TAGS.index("B-PER"), IGNORED, 0, IGNORED]


def test_tokens_without_a_tag_do_not_count():
    b, i, o = (TAGS.index(tag) for tag in ("B-PER", "I-PER", "O"))
    labels = np.array([[IGNORED, b, IGNORED, i, o], [b, o, IGNORED, IGNORED, IGNORED]])
    said = np.array([[o, b, o, i, o], [o, o, b, b, b]])
    logits = np.eye(len(TAGS))[said]
    gold, found = tags_of(logits, labels)
    assert gold == [["B-PER", "I-PER", "O"], ["B-PER", "O"]]
    assert found == [["B-PER", "I-PER", "O"], ["O", "O"]]
    # One of two entities is found, and no other: 2 · 1 · 0.5 / 1.5.
    assert entity_f1(logits, labels) == 2 / 3


def test_columns_become_sentences_in_iob2(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("-DOCSTART- O\n\nEU NN I-ORG\ncalls VB O\n\nRome NN I-LOC\n")
    assert read_conll(path) == [
        {"tokens": ["EU", "calls"], "ner_tags": ["B-ORG", "O"]},
        {"tokens": ["Rome"], "ner_tags": ["B-LOC"]},
    ]
