"""Turns token outputs in windows into tags of words, and tags into answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.tasks.task import Labels
from tfft.tasks.tokens.sentences import Sentence
from tfft.tasks.tokens.tag_schemes import OUTSIDE, may_follow, spans_of
from tfft.tasks.tokens.viterbi import viterbi
from tfft.tasks.tokens.words import Offsets, first_tokens
from tfft.tasks.windows import window_of_tokens
from tfft.text.tokenizer import Window

IGNORED = -1  # the label id of tokens without a label


@dataclass(frozen=True)
class Tagged:
    """The model's prediction for a sentence.

    Attributes:
        tags: An IOB2 tag for each word; a valid sequence.
        probabilities: Probability of each label for each word, shape (words, labels).
    """

    tags: list[str]
    probabilities: np.ndarray


@dataclass(frozen=True)
class WordPositions:
    """The position of the first token of each word.

    Attributes:
        examples: The example, shape (words,); -1 for a word without tokens.
        tokens: The token in that example, same shape.
    """

    examples: np.ndarray
    tokens: np.ndarray


def place_words(
    words: Sequence[Offsets], windows: Sequence[Window], stride: int, first_example: int
) -> WordPositions:
    """Returns the window and the token that decide each word.

    Args:
        words: Positions of the words in the text.
        windows: All windows of the text.
        stride: Tokens that a window shares with the previous one.
        first_example: The index of the first window among the examples.
    """
    contents = [
        [i for i, text in enumerate(one.text_ids) if text is not None]
        for one in windows
    ]
    tokens: list[Offsets] = []
    for index, (one, content) in enumerate(zip(windows, contents, strict=True)):
        tokens.extend(one.offsets[i] for i in content[stride if index else 0 :])
    of_token, at = window_of_tokens([len(content) for content in contents], stride)
    examples, inside = np.full(len(words), -1), np.full(len(words), -1)
    for word, token in enumerate(first_tokens(words, tokens)):
        if token >= 0:
            window = of_token[token]
            examples[word] = first_example + window
            inside[word] = contents[window][at[token]]
    return WordPositions(examples, inside)


def on_first_tokens(
    sentences: Sequence[Sentence],
    positions: Sequence[WordPositions],
    windows: Sequence[Window],
    labels: Labels,
) -> list[list[int]]:
    """Returns a label id for each token; -1 for tokens without a label."""
    ids = {label: index for index, label in enumerate(labels)}
    found = [[IGNORED] * len(one.token_ids) for one in windows]
    for sentence, one in zip(sentences, positions, strict=True):
        # Backwards, so that the first of several words that share a token gets it.
        for word in range(len(sentence.words) - 1, -1, -1):
            if one.tokens[word] >= 0:
                at = found[one.examples[word]]
                at[one.tokens[word]] = ids[sentence.tags[word]]
    return found


def word_log_probabilities(
    outputs: Sequence[np.ndarray], positions: WordPositions, labels: Labels
) -> np.ndarray:
    """Returns log p of each label for each word, shape (words, labels).

    A word that the tokenizer dropped is O.
    """
    log_p = np.full((len(positions.tokens), len(labels)), -np.inf, "float32")
    log_p[:, labels.index(OUTSIDE)] = 0.0
    for word in np.flatnonzero(positions.tokens >= 0):
        logits = outputs[positions.examples[word]][positions.tokens[word]]
        shifted = logits - logits.max()
        log_p[word] = shifted - np.log(np.exp(shifted).sum())
    return log_p


def likeliest_legal(log_p: np.ndarray, labels: Labels) -> np.ndarray:
    """Returns the ids of the most likely valid tag sequence."""
    first = np.array([may_follow("", label) for label in labels])
    follows = np.array([[may_follow(a, b) for b in labels] for a in labels])
    return viterbi(log_p, first, follows)


def tagged_answer(sentence: Sentence, tagged: Tagged, labels: Labels) -> dict[str, Any]:
    """Returns the spans with their text and position, and the tags."""
    kinds = np.array([label[2:] for label in labels])
    spans = []
    for start, end, kind in spans_of(tagged.tags):
        first, last = sentence.words[start][0], sentence.words[end - 1][1]
        of_type = tagged.probabilities[start:end, kinds == kind].sum(axis=-1)
        spans.append(
            {
                "text": sentence.text[first:last],
                "type": kind,
                "score": float(of_type.mean()),
                "start": first,
                "end": last,
            }
        )
    return {"spans": spans, "tags": tagged.tags}
