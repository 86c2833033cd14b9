"""The pre-tokenizer of a byte-level tokenizer, inside a graph."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from tfft.core.errors import shorten
from tfft.text.graph.characters import (
    Characters,
    digits_among_characters,
    kinds_of_characters,
)
from tfft.text.graph.no_graph_form import no_graph_form
from tfft.text.graph.splitting import gpt2_starts, later_starts

Starts = Callable[[Characters], tf.Tensor]
_SUFFIXES = "'s|'t|'re|'ve|'m|'ll|'d"
_TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_EXPRESSIONS: dict[str, Starts] = {
    rf"(?i:{_SUFFIXES})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{numbers}|{_TAIL}": (
        functools.partial(later_starts, digits=digits)
    )
    for numbers, digits in ((r"\p{N}", 1), (r"\p{N}{1,3}", 3))
}


@dataclass(frozen=True)
class _Rules:
    """A known kind of pre-tokenizer.

    Attributes:
        starts: Returns where words start.
        prefix_space: Whether to start a text with a space if it has none.
        digits: Whether `each` digit, or a run of them (`runs`), is split off first.
    """

    starts: Starts
    prefix_space: bool = False
    digits: str | None = None


class Words(NamedTuple):
    """Texts split into words.

    Attributes:
        words: The words, which together make up the text; shape (batch, None).
        character_of_byte: For each byte of all words, the index of its character in
            its own text, int64.
    """

    words: tf.RaggedTensor
    character_of_byte: tf.Tensor


class Splitter:
    """Splits texts into the words whose bytes are merged.

    Args:
        rules: The content of a `tokenizer.json`.

    Raises:
        DataError: When the pre-tokenizer is of an unknown kind.
    """

    def __init__(self, rules: Mapping[str, Any]) -> None:
        self._rules = _read(rules)
        self.prefix_space = self._rules.prefix_space
        self._kinds = tf.constant(kinds_of_characters())
        if self._rules.digits is not None:
            self._digits = tf.constant(digits_among_characters())

    def __call__(self, texts: tf.Tensor) -> Words:
        """Returns the words of texts, strings of shape (batch,)."""
        bare = tf.zeros_like(texts, bool)
        if self.prefix_space:
            start = tf.strings.substr(texts, 0, 1)
            bare = (start != " ") & (start != "")
            texts = tf.where(bare, tf.strings.join([" ", texts]), texts)
        codes = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        flat, rows = codes.flat_values, codes.value_rowids()
        first = self._breaks(flat) | _row_starts(codes)
        characters = Characters(flat, tf.gather(self._kinds, flat), first)
        starts = self._rules.starts(characters) | first
        places = tf.boolean_mask(characters.positions, starts)
        splits = tf.concat([places, [tf.size(flat)]], 0)
        words = tf.RaggedTensor.from_row_splits(flat, splits)
        words = tf.RaggedTensor.from_value_rowids(
            tf.strings.unicode_encode(words, "UTF-8"),
            tf.boolean_mask(rows, starts),
            nrows=codes.nrows(),
        )
        # A space added before a text has the position of its first character.
        place = tf.ragged.range(codes.row_lengths()).flat_values
        place = tf.maximum(place - tf.gather(tf.cast(bare, tf.int64), rows), 0)
        return Words(words, tf.repeat(place, _sizes(flat)))

    def _breaks(self, codes: tf.Tensor) -> tf.Tensor:
        """Returns where parts begin that are split independently."""
        if self._rules.digits is None:
            return tf.zeros_like(codes, bool)
        digit = tf.gather(self._digits, codes)
        before = tf.concat([[False], digit[:-1]], 0)[: tf.size(codes)]
        return digit | before if self._rules.digits == "each" else digit ^ before


def _sizes(codes: tf.Tensor) -> tf.Tensor:
    """Returns the number of UTF-8 bytes of each code point."""
    limits = tf.constant([0, 0x80, 0x800, 0x10000])
    return tf.searchsorted(limits, codes, side="right")


def _row_starts(codes: tf.RaggedTensor) -> tf.Tensor:
    """Returns where the first character of each text is."""
    rows = codes.value_rowids()
    changed = rows[1:] != rows[:-1]
    return tf.concat([[True], changed], 0)[: tf.size(rows)]


def _read(rules: Mapping[str, Any]) -> _Rules:
    """Returns the rules of the pre-tokenizer in a `tokenizer.json`.

    Raises:
        DataError: When it is of an unknown kind.
    """
    steps = _steps(rules)
    types = [step.get("type") for step in steps]
    last = steps[-1] if steps else {}
    prefix = bool(last.get("add_prefix_space"))
    if types == ["ByteLevel"] and last["use_regex"]:
        return _Rules(gpt2_starts, prefix)
    if types == ["Digits", "ByteLevel"] and last["use_regex"] and not prefix:
        digits = "each" if steps[0]["individual_digits"] else "runs"
        return _Rules(gpt2_starts, digits=digits)
    if types == ["Split", "ByteLevel"] and not last["use_regex"] and not prefix:
        expression = steps[0]["pattern"].get("Regex")
        plain = steps[0]["behavior"] == "Isolated" and not steps[0]["invert"]
        if plain and expression in _EXPRESSIONS:
            return _Rules(_EXPRESSIONS[expression])
    raise no_graph_form(
        f"pre-tokenizer {shorten(json.dumps(steps))}",
        expected="that of GPT-2, RoBERTa, SmolLM2, Llama 3 or Qwen 2",
    )


def _steps(rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    whole = rules["pre_tokenizer"] or {}
    return whole.get("pretokenizers", [whole] if whole else [])
