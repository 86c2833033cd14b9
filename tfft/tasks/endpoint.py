"""The half of a task that a server runs, and the signatures it consists of."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from tfft.compute.forward_only import forward_only

Spec = tuple[tuple[int | None, ...], str]
Endpoints = dict[str, "Endpoint"]

TEXTS: Spec = ((None,), "string")
_IDS: Spec = ((None, None), "int32")


class InGraph(Protocol):
    """The interface of a tokenizer inside a graph; `tfft.serving` implements it."""

    max_length: int
    outside: Any  # the `Tokenizer` itself

    def __call__(self, *texts: Any) -> dict[str, Any]:
        """Returns the padded batch of one column of texts, or of two."""

    def ids(self, texts: Any, *, split_special_tokens: bool = True) -> Any:
        """Returns the ids of a column of texts, without the tokens around them."""

    def texts(self, token_ids: Any) -> Any:
        """Returns the text of each row of ids."""

    def spelled(self, token_ids: Any) -> Any:
        """Returns the bytes of each of some tokens."""

    def pieces(self, text: Any) -> Any:
        """Returns ids of tokens and their places in the texts."""

    def windows(self, *texts: Any, stride: int) -> Any:
        """Returns texts as windows that together hold every token."""


@dataclass(frozen=True)
class Endpoint:
    """A signature.

    Attributes:
        inputs: Shape and type of each input by its name, in the order of `compute`.
        compute: Maps tensors to named tensors of one row for each row.
    """

    inputs: Mapping[str, Spec]
    compute: Callable[..., dict[str, Any]]

    def answer(self, *given: Any) -> dict[str, Any]:
        """Does what `compute` does, in a form to be exported."""
        with forward_only():
            return self.compute(*given)


@dataclass(frozen=True)
class Tryout:
    """Questions to a SavedModel with the answers that the run gives.

    Attributes:
        signature: The signature to call.
        rows: The texts of each row, in the order of the inputs of `serving_default`.
        expected: The answers, as `Served.read` returns them.
        options: Further inputs of the signature, the same for each row.
    """

    signature: str
    rows: Sequence[tuple[str, ...]]
    expected: Sequence[dict[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)


class Served(abc.ABC):
    """Answers a task from raw text inside a graph.

    The graph computes what `Task.decode` and `Task.answers` compute in NumPy: for the
    same texts, `read` returns what `answers` returns.

    Attributes:
        warm_up_texts: Texts that a server runs before it takes requests.
    """

    warm_up_texts: ClassVar[tuple[str, ...]] = ("warm up", "warm up " * 1000)

    @abc.abstractmethod
    def endpoints(self, network: Any, tokenizer: InGraph) -> Endpoints:
        """Returns the signatures of a SavedModel by name.

        Args:
            network: The trained network with its adapter merged.
            tokenizer: The tokenizer inside the graph, with the task's `max_length`.

        Returns:
            `serving_default`, from texts to what `read` takes; `serving_tensors`, from
            ids; and any further ones.

        Raises:
            ConfigError: When the tokenizer lacks an operation that the task needs.
        """

    @abc.abstractmethod
    def read(self, outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the outputs of `serving_default` in the form of `Task.answers`.

        Args:
            outputs: Arrays by name, with one entry for each row.
        """

    def tryout(self, predictor: Any, rows: Sequence[tuple[str, ...]]) -> Tryout:
        """Returns questions with known answers, to test an export before publishing.

        Args:
            predictor: Gives the right answers, by `predict` or `generate`.
            rows: Texts for the columns.
        """
        inputs = [row if len(row) > 1 else row[0] for row in rows]
        return Tryout("serving_default", rows, predictor.predict(inputs))


def ids_of(network: Any) -> dict[str, Spec]:
    """Returns the inputs of an endpoint that takes what a network takes."""
    return dict.fromkeys(network.input, _IDS)


def called(network: Any, batch: Mapping[str, Any]) -> Any:
    """Calls a network with its own inputs out of a batch."""
    return network({name: batch[name] for name in network.input}, training=False)


def characters_of(text: Any) -> Any:
    """Returns the characters of a column, ragged; invalid bytes are replaced."""
    import tensorflow as tf

    return tf.strings.unicode_split(text, "UTF-8", errors="replace")


def parts_of(characters: Any, starts: Any, ends: Any) -> Any:
    """Returns parts of texts.

    Args:
        characters: Ragged strings, shape (batch, characters).
        starts: The first character of each part, ragged, shape (batch, parts).
        ends: The character after the last of each part, same shape.

    Returns:
        Ragged strings, same shape.
    """
    import tensorflow as tf

    at = tf.gather(characters.row_starts(), starts.value_rowids())
    places = tf.ragged.range(
        at + tf.cast(starts.flat_values, tf.int64),
        at + tf.cast(ends.flat_values, tf.int64),
    )
    parts = tf.gather(characters.flat_values, places)
    return starts.with_flat_values(tf.strings.reduce_join(parts, axis=-1))


def as_text(value: Any) -> str:
    """Returns the text of a string of a SavedModel, which are bytes."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def as_texts(values: Sequence[Any]) -> list[str]:
    """Returns the texts of strings of a SavedModel."""
    return [as_text(value) for value in values]
