"""Splits text into words as byte-level tokenizers do, by shifts over characters.

Each function returns where words start under the regular expression of one family of
models. TensorFlow's own regular expressions lack the look-ahead that these need.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from tfft.text.graph.characters import (
    LETTER,
    NUMBER,
    OTHER,
    SPACE,
    Characters,
    contractions,
)


def gpt2_starts(characters: Characters) -> tf.Tensor:
    r"""Returns where words start in GPT-2.

    Its expression is `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+`
    `|\s+(?!\S)|\s+`: a word includes one space before it; of longer white space, the
    last character is a word of its own.
    """
    before, is_space = characters.before, characters.is_kind(SPACE)
    same = functools.reduce(
        tf.logical_or,
        (
            characters.is_kind(kind) & before(characters.is_kind(kind))
            for kind in (OTHER, LETTER, NUMBER)
        ),
    )
    word = ~is_space & ~same & ~before(characters.is_any(" "))
    space = is_space & (~before(is_space) | characters.after(~is_space))
    return contractions(characters, word | space, any_case=False)[0]


def later_starts(characters: Characters, digits: int) -> tf.Tensor:
    r"""Returns where words start in Llama 3 and Qwen 2.

    Their expression is `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+`
    `|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: letters include
    any one character before them, punctuation the line ends after it.

    Args:
        characters: The characters.
        digits: The most digits in a word.
    """
    before, is_kind = characters.before, characters.is_kind
    is_space, is_line_end = is_kind(SPACE), characters.is_any("\r\n")
    sign = is_kind(OTHER) & ~before(is_kind(OTHER)) & ~before(characters.is_any(" "))
    runs = characters.run_starts(is_kind(NUMBER))
    number = is_kind(NUMBER) & (characters.from_run_start(runs) % digits == 0)
    taken = before(is_kind(LETTER) | sign | is_space & ~is_line_end)
    letter = is_kind(LETTER) & ~taken
    runs = characters.run_starts(is_space) | characters.run_starts(~is_space)
    after_sign = runs & before(is_kind(OTHER))
    closing = is_space & _since(characters, after_sign, runs)
    closing &= characters.all_so_far(is_line_end, runs)
    blank = is_space & ~characters.any_later(is_line_end, runs)
    space = ~before(is_space) | before(closing) | blank & ~before(blank)
    space |= blank & characters.after(~is_space)
    starts = sign | number | letter | is_space & ~closing & space
    return contractions(characters, starts, any_case=True)[0]


def _since(characters: Characters, flags: tf.Tensor, starts: tf.Tensor) -> tf.Tensor:
    """Returns whether the last start at or before each character has its flag set."""
    places = characters.positions - characters.from_run_start(starts)
    return tf.gather(flags, places)
