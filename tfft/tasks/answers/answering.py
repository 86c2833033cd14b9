"""Turns start and end scores of tokens into the answers of a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tfft.tasks.answers.gold_answers import trimmed
from tfft.text.tokenizer import Tokenizer, Window

TRIED = 20  # number of starts and of ends of a window to combine


class Candidate(NamedTuple):
    """A part of a context.

    Attributes:
        score: Logit of its start plus logit of its end.
        start: Its first character.
        end: The character after its last.
        text: Its text, exactly as in the context.
    """

    score: float
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Answered:
    """The model's prediction for a question.

    Attributes:
        candidates: The best parts of the context, best first; empty for a context
            without tokens.
        no_answer_score: The score of no answer, comparable with the candidates'.
        threshold: The lead from which no answer is chosen; None for never.
    """

    candidates: list[Candidate]
    no_answer_score: float
    threshold: float | None

    @property
    def best_text(self) -> str:
        """The text of the best candidate."""
        return self.candidates[0].text if self.candidates else ""

    @property
    def no_answer_lead(self) -> float:
        """The score of no answer minus that of the best candidate."""
        best = self.candidates[0].score if self.candidates else -1e9
        return self.no_answer_score - best

    @property
    def is_silent(self) -> bool:
        """Whether no answer is chosen."""
        above = self.threshold is not None and self.no_answer_lead > self.threshold
        return above or not self.candidates

    @property
    def text(self) -> str:
        """The answer, or "" for no answer."""
        return "" if self.is_silent else self.best_text

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax over the candidates, followed by no answer if it is possible."""
        scores = [one.score for one in self.candidates]
        if self.threshold is not None or not scores:
            scores.append(self.no_answer_score)
        shifted = np.exp(np.array(scores) - max(scores))
        return shifted / shifted.sum()

    @property
    def confidence(self) -> float:
        """The probability of the answer."""
        return float(self.probabilities[-1 if self.is_silent else 0])


def cut_questions(
    tokenizer: Tokenizer, questions: Sequence[str], most: int
) -> tuple[list[str], int]:
    """Returns truncated questions, and how many were truncated."""
    whole = tokenizer.windows(questions, None, 1_000_000, 0)
    cut = 0
    shorter = []
    for question, [window] in zip(questions, whole, strict=True):
        ends = [
            end
            for (_, end), text in zip(window.offsets, window.text_ids, strict=True)
            if text is not None
        ]
        cut += len(ends) > most
        shorter.append(question[: ends[most - 1]] if len(ends) > most else question)
    return shorter, cut


def best_answers(
    outputs: Sequence[np.ndarray],
    windows: Sequence[Window],
    context: str,
    *,
    max_answer: int,
    n_best: int,
    threshold: float | None,
) -> Answered:
    """Returns the best answers over all windows of a context.

    Args:
        outputs: Logits of each window, shape (tokens, 2).
        windows: The windows, with the positions of their tokens.
        context: The context.
        max_answer: Maximum number of tokens of an answer.
        n_best: Number of candidates to keep.
        threshold: The lead from which no answer is chosen; None for never.
    """
    best: dict[tuple[int, int], float] = {}
    silence = np.inf
    for logits, window in zip(outputs, windows, strict=True):
        # No answer in the whole context: the lowest score of its windows counts.
        # Two empty texts without special tokens give an empty window.
        silence = min(silence, float(logits[0].sum()) if len(logits) else 0.0)
        for score, place in _parts(logits, window, context, max_answer):
            best[place] = max(score, best.get(place, -np.inf))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[:n_best]
    candidates = [
        Candidate(score, start, end, context[start:end])
        for (start, end), score in ranked
    ]
    return Answered(candidates, silence, threshold)


def _parts(
    logits: np.ndarray, window: Window, context: str, max_answer: int
) -> list[tuple[float, tuple[int, int]]]:
    """Returns score and characters of the most likely parts of a window.

    Answers do not include white space at their ends; GPT-2's tokens contain the space
    before a word. Parts of only white space are left out.
    """
    tokens = np.flatnonzero([text == 1 for text in window.text_ids])
    starts = tokens[np.argsort(-logits[tokens, 0], kind="stable")[:TRIED]]
    ends = tokens[np.argsort(-logits[tokens, 1], kind="stable")[:TRIED]]
    firsts = {
        one: trimmed(context, window.offsets[one][0], len(context))[0] for one in starts
    }
    lasts = {one: trimmed(context, 0, window.offsets[one][1])[1] for one in ends}
    return [
        (float(logits[start, 0] + logits[end, 1]), (firsts[start], lasts[end]))
        for start in starts
        for end in ends
        if start <= end < start + max_answer and firsts[start] < lasts[end]
    ]


def answer_of(answered: Answered) -> dict[str, Any]:
    """Returns an answer in the form that users read."""
    p = answered.probabilities
    candidates = [
        {"text": one.text, "score": float(p[i]), "start": one.start, "end": one.end}
        for i, one in enumerate(answered.candidates)
    ]
    best = None if answered.is_silent else answered.candidates[0]
    return {
        "answer": answered.text,
        "score": answered.confidence,
        "start": best.start if best else None,
        "end": best.end if best else None,
        "candidates": candidates,
    }
