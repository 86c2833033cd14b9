"""The characters of a batch of texts, as one row of code points with breaks.

Regular expressions that split text look at most three characters ahead and at whole
runs of one kind. Both are shifts and sums over the row, so a whole batch is split at
once, however long its texts are.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

# What the expressions of byte-level tokenizers tell apart: \\p{L}, \\p{N}, \\s.
OTHER, LETTER, NUMBER, SPACE = 0, 1, 2, 3
_ALL_CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
_CHUNK = 4096


class Characters:
    """Code points of many texts, and where a text or a part of one begins.

    Args:
        codes: Code points, int32 of shape (n,).
        kinds: `OTHER`, `LETTER`, `NUMBER` or `SPACE` for each.
        first: True where nothing of the same part stands before.
    """

    def __init__(self, codes: tf.Tensor, kinds: tf.Tensor, first: tf.Tensor) -> None:
        self.codes, self.kinds, self.first = codes, kinds, first
        self.positions = tf.range(tf.size(codes))

    def is_kind(self, kind: int) -> tf.Tensor:
        """Returns where characters of a kind are."""
        return self.kinds == kind

    def is_any(self, characters: str) -> tf.Tensor:
        """Returns where one of some characters is."""
        found = [self.codes == ord(character) for character in characters]
        return functools.reduce(tf.logical_or, found)

    def before(self, flags: tf.Tensor) -> tf.Tensor:
        """Returns whether a flag is set one character before, in the same part."""
        return tf.concat([[False], flags[:-1]], 0)[: tf.size(flags)] & ~self.first

    def after(self, flags: tf.Tensor) -> tf.Tensor:
        """Returns whether a flag is set one character later, in the same part."""
        return tf.concat([(flags & ~self.first)[1:], [False]], 0)[: tf.size(flags)]

    def run_starts(self, flags: tf.Tensor) -> tf.Tensor:
        """Returns where a run of set flags starts."""
        return flags & ~self.before(flags)

    def from_run_start(self, starts: tf.Tensor) -> tf.Tensor:
        """Returns how far each character is from the last start at or before it."""
        places = tf.concat([[0], tf.boolean_mask(self.positions, starts)], 0)
        return self.positions - tf.gather(places, _counted(starts))

    def any_later(self, flags: tf.Tensor, starts: tf.Tensor) -> tf.Tensor:
        """Returns whether a flag is set here or later, before the next start."""
        runs = _counted(starts)
        marked = tf.where(flags, self.positions, -1)
        last = tf.math.unsorted_segment_max(marked, runs, tf.size(flags) + 1)
        return self.positions <= tf.gather(last, runs)

    def all_so_far(self, flags: tf.Tensor, starts: tf.Tensor) -> tf.Tensor:
        """Returns whether a flag is set here and everywhere since the last start."""
        runs = _counted(starts)
        marked = tf.where(flags, tf.size(flags), self.positions)
        end = tf.math.unsorted_segment_min(marked, runs, tf.size(flags) + 1)
        return self.positions < tf.gather(end, runs)


def _counted(flags: tf.Tensor) -> tf.Tensor:
    return tf.cumsum(tf.cast(flags, tf.int32))


def contractions(
    characters: Characters, starts: tf.Tensor, *, any_case: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the starts once `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d` are words.

    Args:
        characters: The characters.
        starts: Where words start without contractions.
        any_case: Whether `'S` is one as well.

    Returns:
        The starts, and where contractions begin.
    """
    letter = {one: characters.is_any(_cases(one, any_case)) for one in "stmdrevl"}
    after = characters.after
    short = functools.reduce(tf.logical_or, (letter[one] for one in "stmd"))
    long = functools.reduce(
        tf.logical_or,
        (letter[one] & after(letter[two]) for one, two in ("re", "ve", "ll")),
    )
    mark = characters.is_any("'") & starts
    short, long = mark & after(short), mark & after(long)
    before = characters.before
    inside = before(short | long) | before(before(long))
    ended = before(before(short)) | before(before(before(long)))
    return starts & ~inside | ended, short | long


def _cases(letter: str, any_case: bool) -> str:
    """Returns the characters that a letter matches; a long s is an s."""
    if not any_case:
        return letter
    return letter + letter.upper() + ("\u017f" if letter == "s" else "")


@functools.cache
def kinds_of_characters() -> np.ndarray:
    """Asks `tokenizers` what kind each character of Unicode is.

    A character that GPT-2's expression leaves together with a letter is one, and so
    on: many are asked at once, each after one whose kind is known.

    Returns:
        The kinds by code point, int32.
    """
    from tokenizers import pre_tokenizers

    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    kinds = np.full(0x110000, SPACE, "int32")
    left = np.array(_ALL_CODES)
    for kind, known in ((OTHER, "!"), (LETTER, "a"), (NUMBER, "1")):
        apart = np.ones(len(left), bool)
        for start in range(0, len(left), _CHUNK):
            part = left[start : start + _CHUNK]
            asked = "".join(known + chr(code) for code in part)
            is_start = np.zeros(len(asked), bool)
            is_start[[at for _, (at, _) in splitter.pre_tokenize_str(asked)]] = True
            apart[start : start + _CHUNK] = is_start[1::2]
        kinds[left[~apart]] = kind
        left = left[apart]
    return kinds


@functools.cache
def digits_among_characters() -> np.ndarray:
    """Asks `tokenizers` which characters of Unicode it cuts out as digits.

    Returns:
        True for digits, by code point.
    """
    from tokenizers import pre_tokenizers

    digits = np.zeros(0x110000, bool)
    asked = "".join(f"a{chr(code)}" for code in _ALL_CODES)
    for word, _ in pre_tokenizers.Digits().pre_tokenize_str(asked):
        if not word.startswith("a"):
            digits[ord(word)] = True
    return digits
