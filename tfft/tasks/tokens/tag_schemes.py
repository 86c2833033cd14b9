"""Converts between tags of words and spans, in the common schemes.

IOB1 begins a span with `B-` only right after a span of the same type, IOB2 begins
every span with `B-`, and BIOES also marks last words (`E-`) and single ones (`S-`).
BILOU is BIOES with the letters `L-` and `U-`. Inside tfft all tags are IOB2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Scheme = Literal["auto", "IOB1", "IOB2", "BIOES", "BILOU"]

OUTSIDE = "O"
SCHEMES: tuple[Scheme, ...] = ("IOB2", "IOB1", "BIOES", "BILOU")
_PREFIXES = {"IOB1": "IB", "IOB2": "IB", "BIOES": "BIES", "BILOU": "BILU"}
_LAST, _SINGLE = ("E", "L"), ("S", "U")


class TagSpan(NamedTuple):
    """A typed span of words.

    Attributes:
        start: Index of the first word.
        end: Index after the last word.
        type: The type of the span.
    """

    start: int
    end: int
    type: str


def split_tag(tag: str) -> tuple[str, str]:
    """Returns the prefix and type of a tag; both are empty for O.

    Raises:
        ValueError: For a tag of no scheme; the message is for users.

    >>> split_tag("B-PER"), split_tag("O")
    (('B', 'PER'), ('', ''))
    """
    if tag == OUTSIDE:
        return "", ""
    prefix, dash, kind = tag.partition("-")
    if not dash or not kind:
        raise ValueError(f"tag {tag!r} has no prefix such as B-")
    if prefix not in ("B", "I", *_LAST, *_SINGLE):
        raise ValueError(f"tag {tag!r} is of an unknown scheme")
    return prefix, kind


def problem(tags: Sequence[str], scheme: Scheme) -> tuple[int, str] | None:
    """Returns the first word with a tag that breaks a scheme, and why; or None.

    >>> problem(["O", "I-PER"], "IOB2")
    (1, "tag 'I-PER' begins a span without B-")
    >>> problem(["O", "I-PER"], "IOB1")
    """
    allowed = _PREFIXES[scheme]
    before = ("", "")
    for index, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = now = split_tag(tag)
        if prefix and prefix not in allowed:
            return index, f"tag {tag!r} is not a tag of {scheme}"
        broken = _broken(before, now, scheme)
        if broken:
            last = index == len(tags)
            return index - last, f"tag {tags[index - last]!r} {broken}"
        before = prefix, kind
    return None


def _broken(before: tuple[str, str], now: tuple[str, str], scheme: Scheme) -> str:
    """Returns why a tag cannot follow another, or "" if it can."""
    prefix, kind = now
    same = kind and kind == before[1]
    if scheme == "IOB1":
        wrong = prefix == "B" and not same
        return "has a B- that no span of its type comes before" if wrong else ""
    open_before = before[0] in ("B", "I")
    if prefix in ("I", *_LAST) and not (same and open_before):
        return "begins a span without B-"
    marks_ends = scheme in ("BIOES", "BILOU")
    if marks_ends and open_before and prefix not in ("I", *_LAST):
        return f"leaves the span before it without {_PREFIXES[scheme][2]}-"
    return ""


def detect(sentences: Sequence[Sequence[str]]) -> Scheme | None:
    """Returns the scheme that every sentence follows, or None.

    >>> detect([["I-PER", "B-PER"]]), detect([["B-PER", "I-PER"]]), detect([["O"]])
    ('IOB1', 'IOB2', 'IOB2')
    """
    for scheme in SCHEMES:
        if all(problem(tags, scheme) is None for tags in sentences):
            return scheme
    return None


def spans_of(tags: Sequence[str], scheme: Scheme = "IOB2") -> list[TagSpan]:
    """Returns the spans of tags, reading invalid tags in the usual way.

    As in conlleval, a span begins at B-, S- or U-, and at any tag that cannot continue
    the span before it.

    >>> spans_of(["B-PER", "I-PER", "O", "I-LOC"])
    [TagSpan(start=0, end=2, type='PER'), TagSpan(start=3, end=4, type='LOC')]
    """
    spans: list[TagSpan] = []
    start, open_type = 0, ""
    before = ""
    for index, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = split_tag(tag)
        ends = bool(open_type) and (
            not prefix
            or prefix in ("B", *_SINGLE)
            or kind != open_type
            or before in (*_LAST, *_SINGLE)
        )
        if ends:
            spans.append(TagSpan(start, index, open_type))
            open_type = ""
        if prefix and not open_type:
            start, open_type = index, kind
        before = prefix
    return spans


def tags_of(spans: Sequence[TagSpan], count: int) -> list[str]:
    """Returns the IOB2 tags of non-overlapping spans.

    >>> tags_of([TagSpan(0, 2, "PER")], 3)
    ['B-PER', 'I-PER', 'O']
    """
    tags = [OUTSIDE] * count
    for start, end, kind in spans:
        tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return tags


def repaired(tags: Sequence[str]) -> list[str]:
    """Returns valid IOB2 tags: an I- that continues nothing begins a span.

    >>> repaired(["O", "I-PER", "I-PER", "I-LOC"])
    ['O', 'B-PER', 'I-PER', 'B-LOC']
    """
    return tags_of(spans_of(tags), len(tags))


def may_follow(before: str, tag: str) -> bool:
    """Returns whether an IOB2 tag may follow another; "" is before the first.

    >>> may_follow("B-PER", "I-PER"), may_follow("O", "I-PER"), may_follow("", "O")
    (True, False, True)
    """
    prefix, kind = split_tag(tag)
    return prefix != "I" or (before[:1] in ("B", "I") and before[2:] == kind)
