"""Splits generated texts into words for scores, in any script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

_CHINESE = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3134F),
)
# Scripts without spaces between words; each of their characters counts as a word.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0xFF66, 0xFF9F),  # half-width kana
    *_CHINESE,
)


class ScoreWords:
    """A tokenizer for rouge-score that supports every script.

    The tokenizer of rouge-score only knows a to z and 0 to 9. For texts in those, the
    words here are the same, stemming included.

    >>> ScoreWords().tokenize("Running, in Größe 40: 东京")
    ['run', 'in', 'größe', '40', '东', '京']
    """

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self._english = DefaultTokenizer(use_stemmer=True)

    def tokenize(self, text: str) -> list[str]:
        """Returns the words of a text in lower case, stemmed as in English."""
        return [self._stem(word) for word in _words(text)]

    def _stem(self, word: str) -> str:
        return "".join(self._english.tokenize(word)) if word.isascii() else word


def _words(text: str) -> list[str]:
    """Returns runs of letters and digits, and each character of unspaced scripts."""
    words: list[str] = []
    before = "other"
    for character in unicodedata.normalize("NFC", text.lower()):
        kind = _kind(character)
        if (kind == "mark" and before != "other") or kind == before == "letter":
            words[-1] += character
            continue
        if kind in ("letter", "alone"):
            words.append(character)
        before = "other" if kind == "mark" else kind
    return words


@lru_cache(maxsize=65536)
def _kind(character: str) -> str:
    """Returns "letter", "alone" (one character is a word), "mark" or "other"."""
    category = unicodedata.category(character)[0]
    if category == "M":
        return "mark"
    if category not in "LN":
        return "other"
    return "alone" if _within(character, _UNSPACED) else "letter"


def _within(character: str, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(low <= ord(character) <= high for low, high in ranges)


def bleu_tokenizer(references: Sequence[str]) -> str:
    """Returns the name of sacrebleu's tokenizer for the script of most letters.

    Args:
        references: The reference texts.

    >>> [bleu_tokenizer([text]) for text in ["a 东", "东京很大", "東京はとても大きい"]]
    ['13a', 'zh', 'char']
    """
    letters = [one for text in references for one in text if one.isalpha()]
    unspaced = [one for one in letters if _within(one, _UNSPACED)]
    if 2 * len(unspaced) <= len(letters):
        return "13a"
    return "zh" if all(_within(one, _CHINESE) for one in unspaced) else "char"
