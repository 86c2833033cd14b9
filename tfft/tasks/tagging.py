"""From tokens in windows to tags of words, and from those to answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.tasks.sentences import Sentence
from tfft.tasks.tag_schemes import OUTSIDE, may_follow, spans_of
from tfft.tasks.task import Labels
from tfft.tasks.viterbi import viterbi
from tfft.tasks.windows import window_of_tokens
from tfft.tasks.words import Place, first_tokens
from tfft.text.tokenizer import Window

IGNORED = -1  # the label of tokens that have none


@dataclass(frozen=True)
class Tagged:
    """What the model says of a sentence.

    Attributes:
        tags: An IOB2 tag for each word, legal together.
        probabilities: Of each label for each word, shape (words, labels).
    """

    tags: list[str]
    probabilities: np.ndarray


@dataclass(frozen=True)
class WordPlaces:
    """Where the first token of each word stands.

    Attributes:
        examples: The example, shape (words,); -1 for a word without tokens.
        tokens: The token in it, alike.
    """

    examples: np.ndarray
    tokens: np.ndarray


def place_words(
    words: Sequence[Place], windows: Sequence[Window], stride: int, first_example: int
) -> WordPlaces:
    """Returns the window and the token that speak for each word.

    Args:
        words: Places of the words in the text.
        windows: All windows of the text.
        stride: Tokens that a window shares with the one before.
        first_example: The index of the first window among the examples.
    """
    contents = [
        [i for i, text in enumerate(one.text_ids) if text is not None]
        for one in windows
    ]
    tokens: list[Place] = []
    for index, (one, content) in enumerate(zip(windows, contents, strict=True)):
        tokens.extend(one.offsets[i] for i in content[stride if index else 0 :])
    of_token, at = window_of_tokens([len(content) for content in contents], stride)
    examples, inside = np.full(len(words), -1), np.full(len(words), -1)
    for word, token in enumerate(first_tokens(words, tokens)):
        if token >= 0:
            window = of_token[token]
            examples[word] = first_example + window
            inside[word] = contents[window][at[token]]
    return WordPlaces(examples, inside)


def on_first_tokens(
    sentences: Sequence[Sentence],
    places: Sequence[WordPlaces],
    windows: Sequence[Window],
    labels: Labels,
) -> list[list[int]]:
    """Returns label ids by token; -1 where no word is labelled."""
    ids = {label: index for index, label in enumerate(labels)}
    found = [[IGNORED] * len(one.token_ids) for one in windows]
    for sentence, one in zip(sentences, places, strict=True):
        # Backwards: of words that share a token, the first has it.
        for word in range(len(sentence.words) - 1, -1, -1):
            if one.tokens[word] >= 0:
                at = found[one.examples[word]]
                at[one.tokens[word]] = ids[sentence.tags[word]]
    return found


def word_log_probabilities(
    outputs: Sequence[np.ndarray], places: WordPlaces, labels: Labels
) -> np.ndarray:
    """Returns log p of each label for each word, shape (words, labels).

    A word of which the tokenizer kept nothing is O.
    """
    log_p = np.full((len(places.tokens), len(labels)), -np.inf, "float32")
    log_p[:, labels.index(OUTSIDE)] = 0.0
    for word in np.flatnonzero(places.tokens >= 0):
        logits = outputs[places.examples[word]][places.tokens[word]]
        shifted = logits - logits.max()
        log_p[word] = shifted - np.log(np.exp(shifted).sum())
    return log_p


def likeliest_legal(log_p: np.ndarray, labels: Labels) -> np.ndarray:
    """Returns the ids of the likeliest tags that are legal together."""
    first = np.array([may_follow("", label) for label in labels])
    follows = np.array([[may_follow(a, b) for b in labels] for a in labels])
    return viterbi(log_p, first, follows)


def tagged_answer(sentence: Sentence, tagged: Tagged, labels: Labels) -> dict[str, Any]:
    """Returns the spans with their text and places, and the tags."""
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
