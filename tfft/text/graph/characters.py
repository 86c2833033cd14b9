"""The characters of a batch of texts, as one row of code points with breaks.

The regular expressions that split text look at most three characters ahead and at whole
runs of one kind. Both become shifts and sums over the row, so a whole batch is split at
once, however long its texts are.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

# The classes that the expressions of byte-level tokenizers use: \\p{L}, \\p{N}, \\s.
OTHER, LETTER, NUMBER, SPACE = 0, 1, 2, 3
_ALL_CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
_CHUNK = 4096


class Characters:
    """The code points of many texts, and where each text or part of a text begins.

    Attributes:
        codes: Code points, int32 of shape (n,).
        kinds: `OTHER`, `LETTER`, `NUMBER` or `SPACE` for each code point.
        first: True at the first character of each part.
    """

    def __init__(self, codes: tf.Tensor, kinds: tf.Tensor, first: tf.Tensor) -> None:
        self.codes, self.kinds, self.first = codes, kinds, first
        self.positions = tf.range(tf.size(codes))

    def is_kind(self, kind: int) -> tf.Tensor:
        """Returns where characters of that kind are."""
        return self.kinds == kind

    def is_any(self, characters: str) -> tf.Tensor:
        """Returns where any of the given characters is."""
        found = [self.codes == ord(character) for character in characters]
        return functools.reduce(tf.logical_or, found)

    def before(self, flags: tf.Tensor) -> tf.Tensor:
        """Returns whether a flag is set one character earlier in the same part."""
        return tf.concat([[False], flags[:-1]], 0)[: tf.size(flags)] & ~self.first

    def after(self, flags: tf.Tensor) -> tf.Tensor:
        """Returns whether a flag is set one character later in the same part."""
        return tf.concat([(flags & ~self.first)[1:], [False]], 0)[: tf.size(flags)]

    def run_starts(self, flags: tf.Tensor) -> tf.Tensor:
        """Returns where runs of set flags start."""
        return flags & ~self.before(flags)

    def from_run_start(self, starts: tf.Tensor) -> tf.Tensor:
        """Returns each character's distance from the last start at or before it."""
        places = tf.concat([[0], tf.boolean_mask(self.positions, starts)], 0)
        return self.positions - tf.gather(places, _counted(starts))

    def any_later(self, flags: tf.Tensor, starts: tf.Tensor) -> tf.Tensor:
        """Returns whether a flag is set here or later, before the next start."""
        runs = _counted(starts)
        marked = tf.where(flags, self.positions, -1)
        last = tf.math.unsorted_segment_max(marked, runs, tf.size(flags) + 1)
        return self.positions <= tf.gather(last, runs)

    def all_so_far(self, flags: tf.Tensor, starts: tf.Tensor) -> tf.Tensor:
        """Returns whether all flags since the last start are set, this one included."""
        runs = _counted(starts)
        marked = tf.where(flags, tf.size(flags), self.positions)
        end = tf.math.unsorted_segment_min(marked, runs, tf.size(flags) + 1)
        return self.positions < tf.gather(end, runs)


def _counted(flags: tf.Tensor) -> tf.Tensor:
    return tf.cumsum(tf.cast(flags, tf.int32))


def contractions(
    characters: Characters, starts: tf.Tensor, *, any_case: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll` and `'d` off from words.

    Args:
        characters: The characters.
        starts: Where words start without contractions.
        any_case: Whether capitals such as `'S` count too.

    Returns:
        The starts of words, and where contractions begin.
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
    """Returns the characters that a letter matches; a long s counts as an s."""
    if not any_case:
        return letter
    return letter + letter.upper() + ("\u017f" if letter == "s" else "")


@functools.cache
def kinds_of_characters() -> np.ndarray:
    """Finds the kind of every Unicode character by asking `tokenizers`.

    A character that GPT-2's expression keeps together with a letter is a letter, and so
    on. Many are asked at once, each after a character of known kind.

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
    """Finds the Unicode characters that `tokenizers` splits off as digits.

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
