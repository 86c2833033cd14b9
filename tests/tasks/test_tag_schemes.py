"""Schemes against seqeval's reading of them."""

from __future__ import annotations

import random

import pytest
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from tfft.tasks.tokens import tag_schemes
from tfft.tasks.tokens.tag_schemes import TagSpan

TYPES = ("PER", "LOC")
SCHEMES = {"IOB1": IOB1, "IOB2": IOB2, "BIOES": IOBES, "BILOU": BILOU}


def random_spans(generator, count):
    spans, at = [], 0
    while at < count:
        at += generator.choice([0, 0, 1, 2])
        end = at + generator.randint(1, 3)
        if end <= count:
            spans.append(TagSpan(at, end, generator.choice(TYPES)))
        at = end
    return spans


def written(spans, count, scheme):
    """Writes spans in a scheme, by its definition."""
    tags = ["O"] * count
    before = None
    for span in spans:
        start, end, kind = span
        follows = before is not None and before.end == start and before.type == kind
        if scheme == "IOB1":
            prefixes = ["B" if follows else "I", *"I" * (end - start - 1)]
        elif scheme == "IOB2":
            prefixes = ["B", *"I" * (end - start - 1)]
        elif end - start == 1:
            prefixes = ["S" if scheme == "BIOES" else "U"]
        else:
            last = "E" if scheme == "BIOES" else "L"
            prefixes = ["B", *"I" * (end - start - 2), last]
        tags[start:end] = [f"{prefix}-{kind}" for prefix in prefixes]
        before = span
    return tags


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_gives_the_spans_that_seqeval_reads(scheme):
    generator = random.Random(0)
    for _ in range(300):
        spans = random_spans(generator, 9)
        tags = written(spans, 9, scheme)
        assert tag_schemes.problem(tags, scheme) is None
        found = tag_schemes.spans_of(tags, scheme)
        assert found == spans
        theirs = Entities([tags], SCHEMES[scheme]).entities[0]
        assert [(e.start, e.end, e.tag) for e in theirs] == found
        assert tag_schemes.spans_of(tag_schemes.tags_of(found, 9)) == spans


def test_illegal_tags_are_read_as_conlleval_and_seqeval_do():
    generator = random.Random(1)
    labels = ["O", *(f"{p}-{kind}" for kind in TYPES for p in "BI")]
    for _ in range(500):
        tags = generator.choices(labels, k=7)
        found = [(s.type, s.start, s.end - 1) for s in tag_schemes.spans_of(tags)]
        assert found == get_entities(tags)
        repaired = tag_schemes.repaired(tags)
        assert get_entities(repaired) == found
        assert tag_schemes.problem(repaired, "IOB2") is None


def test_a_legal_sequence_is_one_whose_every_step_is_allowed():
    generator = random.Random(2)
    labels = ["O", *(f"{p}-{kind}" for kind in TYPES for p in "BI")]
    seen = set()
    for _ in range(500):
        tags = generator.choices(labels, k=4)
        steps = zip(["", *tags], tags, strict=False)
        allowed = all(tag_schemes.may_follow(a, b) for a, b in steps)
        assert allowed == (tag_schemes.problem(tags, "IOB2") is None)
        seen.add(allowed)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("tags", "scheme", "word", "part"),
    [
        (["O", "I-PER"], "IOB2", 1, "begins a span without B-"),
        (["B-PER", "I-LOC"], "IOB2", 1, "begins a span without B-"),
        (["O", "B-PER"], "IOB1", 1, "has a B- that no span of its type comes before"),
        (["I-LOC", "B-PER"], "IOB1", 1, "has a B-"),
        (["B-PER", "O"], "BIOES", 1, "leaves the span before it without E-"),
        (["O", "B-PER"], "BIOES", 1, "without E-"),
        (["E-PER"], "BIOES", 0, "begins a span without B-"),
        (["S-PER"], "IOB2", 0, "is not a tag of IOB2"),
    ],
)
def test_what_breaks_a_scheme(tags, scheme, word, part):
    index, why = tag_schemes.problem(tags, scheme)
    assert index == word
    assert part in why
    assert repr(tags[word]) in why


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ([["I-PER"], ["O"]], "IOB1"),
        ([["B-PER"], ["O", "I-PER"]], None),
        ([["S-PER"]], "BIOES"),
        ([["O"]], "IOB2"),
    ],
)
def test_the_scheme_is_found(tags, scheme):
    assert tag_schemes.detect(tags) == scheme


@pytest.mark.parametrize("tag", ["PER", "B-", "-PER", "X-PER", "o", ""])
def test_a_tag_of_no_scheme_is_refused(tag):
    with pytest.raises(ValueError, match=r"has no prefix|unknown scheme"):
        tag_schemes.split_tag(tag)
