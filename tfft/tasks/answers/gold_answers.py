"""Reads and checks the correct answers of questions, and corrects positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfft.core.errors import shorten
from tfft.text.tokenizer import Window

_NEARBY = 100
_NOWHERE = (0, 0)  # start and end of "no answer": the first token, which is not text


class GoldAnswer(NamedTuple):
    """A correct answer.

    Attributes:
        text: Its text.
        start: Its first character in the context.
    """

    text: str
    start: int


def read_answers(value: Any) -> list[GoldAnswer]:
    """Returns the answers of a row, in SQuAD's form or that of Hugging Face's data.

    Raises:
        ValueError: For another form; the message is for users.

    >>> read_answers({"text": ["Paris"], "answer_start": [3]})
    [GoldAnswer(text='Paris', start=3)]
    """
    pairs: Any = value
    if isinstance(value, Mapping) and {"text", "answer_start"} <= value.keys():
        texts, starts = value["text"], value["answer_start"]
        if not isinstance(texts, list | tuple) or not isinstance(starts, list | tuple):
            texts, starts = [texts], [starts]
        if len(texts) != len(starts):
            raise ValueError(f"{len(texts)} texts and {len(starts)} starts of answers")
        pairs = [
            {"text": text, "answer_start": start}
            for text, start in zip(texts, starts, strict=True)
        ]
    if not isinstance(pairs, list | tuple):
        raise ValueError(f"{type(value).__name__} instead of a list of answers")
    return [_answer(one) for one in pairs]


def _answer(value: Any) -> GoldAnswer:
    text = value.get("text") if isinstance(value, Mapping) else None
    start = value.get("answer_start") if isinstance(value, Mapping) else None
    if not isinstance(text, str) or type(start) is not int or not text.strip():
        raise ValueError(f"answer {shorten(value)} without text and answer_start")
    return GoldAnswer(text, start)


def answers_problem(value: Any, context: Any) -> str:
    """Returns why the answers of a row are unusable, or "" if they are usable."""
    try:
        answers = read_answers(value)
    except ValueError as error:
        return str(error)
    for answer in answers:
        end = answer.start + len(answer.text)
        if isinstance(context, str) and not 0 <= answer.start < end <= len(context):
            return (
                f"answer {shorten(answer.text)} at {answer.start} beyond its context "
                f"of {len(context)} characters"
            )
    return ""


def mend(answer: GoldAnswer, context: str) -> GoldAnswer | None:
    """Returns an answer with the correct position, or None.

    The answer must occur exactly once near its given position.

    >>> mend(GoldAnswer("Paris", 2), "to Paris")
    GoldAnswer(text='Paris', start=3)
    """
    if context.startswith(answer.text, answer.start):
        return answer
    low = max(0, answer.start - _NEARBY)
    near = context[low : answer.start + len(answer.text) + _NEARBY]
    at = near.find(answer.text)
    if at < 0 or near.find(answer.text, at + 1) >= 0:
        return None
    return GoldAnswer(answer.text, low + at)


def trimmed(context: str, start: int, end: int) -> tuple[int, int]:
    """Returns start and end of a part without the white space around it.

    >>> trimmed("to Paris", 2, 8)
    (3, 8)
    """
    part = context[start:end]
    start += len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def answer_tokens(
    answer: GoldAnswer,
    offsets: Sequence[tuple[int, int]],
    text_ids: Sequence[int | None],
) -> tuple[int, int] | None:
    """Returns the first and last token of an answer, or None if it is incomplete.

    White space around the answer is ignored: it may have no token, or belong to the
    token of the next word.

    Args:
        answer: The answer, with its position in the context.
        offsets: Start and end character of each token of a window.
        text_ids: 1 for the tokens of the context.
    """
    start, end = trimmed(answer.text, 0, len(answer.text))
    start, end = answer.start + start, answer.start + end
    inside = [
        index
        for index, (first, last) in enumerate(offsets)
        if text_ids[index] == 1 and first < end and last > start
    ]
    if not inside:
        return None
    context = [index for index, text in enumerate(text_ids) if text == 1]
    # A window that begins or ends inside the answer contains only a part of it.
    if offsets[inside[0]][0] > start and inside[0] == context[0]:
        return None
    if offsets[inside[-1]][1] < end and inside[-1] == context[-1]:
        return None
    return inside[0], inside[-1]


def ends_in_windows(
    answers: Sequence[Sequence[GoldAnswer]], windows: Sequence[Sequence[Window]]
) -> dict[str, np.ndarray]:
    """Returns the first and last token of the answer in each window, for the batch.

    Args:
        answers: The answers of each row; the first one is learned.
        windows: The windows of each row.
    """
    ends = []
    for golds, parts in zip(answers, windows, strict=True):
        for one in parts:
            found = golds and answer_tokens(golds[0], one.offsets, one.text_ids)
            ends.append(found or _NOWHERE)
    array = np.array(ends, "int32")
    return {"start_positions": array[:, 0], "end_positions": array[:, 1]}
