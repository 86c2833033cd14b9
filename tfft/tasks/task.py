"""The base class of all tasks."""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar

from tfft.core.errors import ConfigError, DataError, shorten
from tfft.core.registry import Registry
from tfft.data.conversations import Conversation
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.heads import Linear
from tfft.models.pretrained import Pretrained
from tfft.tasks.encoded import Encoded
from tfft.tasks.endpoint import Served
from tfft.tasks.joining import Joiner, join_numbers
from tfft.text.tokenizer import Tokenizer

TASKS = Registry("task", "tfft.tasks")

Labels = tuple[Any, ...]
# From a batch to named columns, one row for each example of the batch.
ReferencePass = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Task(abc.ABC):
    """A task; subclasses are frozen configurations.

    A result takes three forms: the network's outputs for each example; predictions for
    each row (`decode`), which a report compares with the correct ones (`gold`); and
    answers that users read (`answers`).

    Attributes:
        name: The name that users give.
        evaluation: Name of the report for its predictions.
        per_token: Whether the network has one output per token instead of one per
            example.
        brings_all: Whether the task works without a new head.
        tunes: Whether `tuned` sets anything.
        generates: Whether `generate` writes its answers.
        joiner: Combines the outputs of several models into one.
        averaged: Options that an ensemble sets to the mean of its members' values.
        text: The columns with text.
        max_length: Maximum number of tokens of an example.
        tail_tokens: How many of these tokens a truncated text keeps from its end.
        split_special_tokens: Whether to split a text that spells a special token into
            letters; otherwise it becomes that token.
    """

    name: ClassVar[str]
    evaluation: ClassVar[str]
    per_token: ClassVar[bool] = False
    brings_all: ClassVar[bool] = False
    tunes: ClassVar[bool] = False
    generates: ClassVar[bool] = False
    has_reference: ClassVar[bool] = False
    joiner: ClassVar[Joiner] = staticmethod(join_numbers)
    averaged: ClassVar[tuple[str, ...]] = ()
    text: tuple[str, ...]
    max_length: int
    tail_tokens = 0
    split_special_tokens = True

    @classmethod
    def as_recorded(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of a run folder, completed.

        An option that is newer than the run gets the value that describes how the run
        was trained, which may differ from its default.
        """
        return dict(options)

    @property
    @abc.abstractmethod
    def peft_task_type(self) -> str:
        """PEFT's name of the task."""

    @property
    def head_type(self) -> str:
        """PEFT's name of a model with the task's head, whatever the pooling."""
        return self.peft_task_type

    def about_head(self, labels: Labels) -> dict[str, Any]:
        """Returns the entries of transformers' `config.json` about the head's outputs.

        Args:
            labels: The labels by id.
        """
        names = [str(label) for label in labels]
        if not names:
            return {}
        return {
            "id2label": {str(index): name for index, name in enumerate(names)},
            "label2id": {name: index for index, name in enumerate(names)},
        }

    def in_units(self, head: Linear) -> Linear:
        """Returns the head with outputs in the unit of the rows. Default: unchanged."""
        return head

    @abc.abstractmethod
    def suited_to(self, pretrained: Pretrained) -> tuple[Task, list[str]]:
        """Returns the task with options set from the model, and a note for each."""

    def learned_from(self, table: Table, labels: Labels) -> tuple[Task, list[str]]:
        """Returns the task with options set from the training rows, and notes."""
        return self, []

    def tuned(
        self, predictions: Any, gold: Any, labels: Labels
    ) -> tuple[Task, list[str]]:
        """Returns the task with options set from validation predictions, and notes."""
        return self, []

    @abc.abstractmethod
    def bad_rows(self, table: Table, *, labelled: bool = True) -> list[BadRow]:
        """Returns the rows that the task cannot use.

        Raises:
            DataError: When a column is missing.
        """

    def unsuited_rows(self, table: Table, tokenizer: Tokenizer) -> list[BadRow]:
        """Returns the rows that the task cannot use with a model; by default none."""
        return []

    def mended(self, table: Table) -> tuple[Table, list[str]]:
        """Returns the usable rows with small faults repaired, and a note per kind.

        Rows that cannot be repaired are left out and listed.
        """
        return table, []

    @abc.abstractmethod
    def learn_labels(self, table: Table) -> Labels:
        """Returns the labels of the training rows, in the order of their ids.

        Raises:
            DataError: When nothing can be learned from them.
        """

    @abc.abstractmethod
    def check_labels(self, table: Table, labels: Labels, split: str) -> None:
        """Raises an error for a label that does not occur in training.

        Raises:
            DataError: With the label and its row.
        """

    @abc.abstractmethod
    def strata(self, table: Table) -> Sequence[Hashable]:
        """Returns one value per row; splits keep the proportions of the values."""

    def keys(self, table: Table) -> Sequence[Hashable]:
        """Returns a value per row, by default texts; splits keep equals together."""
        return self.texts(table)

    def texts(self, table: Table) -> list[tuple[str, ...]]:
        """Returns the texts of each row."""
        columns = (table.column(name, "task.text") for name in self.text)
        return list(zip(*columns, strict=True))

    def described(self, table: Table) -> list[tuple[str, ...]]:
        """Returns the labels of each row in words; by default the one of `strata`."""
        return [(str(label),) for label in self.strata(table)]

    @abc.abstractmethod
    def encode(
        self, table: Table, tokenizer: Tokenizer, labels: Labels | None
    ) -> Encoded:
        """Returns the rows as ids, without labels if `labels` is None."""

    @abc.abstractmethod
    def build(self, pretrained: Pretrained, labels: Labels, seed: int) -> Any:
        """Returns the Keras model: the backbone with a new head."""

    def reference(self, network: Any) -> ReferencePass:
        """Returns a pass of the untouched model over the rows, before training.

        For tasks whose loss compares the model with its own start, such as preference
        tuning, and which set `has_reference`. The engine calls the function once for
        each batch of rows and adds the columns to the examples: `loss` finds them in
        its batch. The function must compute as inference does, without dropout.

        Args:
            network: The result of `build` on the plain backbone, before a method
                changes it.

        Returns:
            The function.
        """
        raise NotImplementedError(f"{self.name} has no reference pass")

    @abc.abstractmethod
    def loss(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the sum of the losses and the sum of the weights of a batch."""

    @abc.abstractmethod
    def gold(self, table: Table, labels: Labels) -> Any:
        """Returns the correct predictions of the rows, in the report's form."""

    @abc.abstractmethod
    def decode(
        self, outputs: Any, encoded: Encoded, table: Table, labels: Labels
    ) -> Any:
        """Returns the predictions of the rows, in the report's form.

        Args:
            outputs: An array of shape (examples, ...); for `per_token` tasks a
                list of arrays of shape (tokens, ...), one for each example.
            encoded: The return value of `encode` for the rows.
            table: The rows.
            labels: The labels by id.
        """

    @abc.abstractmethod
    def answers(
        self, predictions: Any, table: Table, labels: Labels
    ) -> list[dict[str, Any]]:
        """Returns the answer that users read, one for each row."""

    @abc.abstractmethod
    def served(self, labels: Labels) -> Served:
        """Returns the half of the task that runs inside a SavedModel.

        Args:
            labels: The labels by id.
        """

    @abc.abstractmethod
    def rows(self, inputs: Sequence[Any]) -> Table:
        """Returns a table of a user's inputs.

        Raises:
            DataError: For any other input.
        """

    def prompts(self, inputs: Sequence[Any]) -> list[Conversation]:
        """Returns the conversations to continue, for tasks that generate.

        Raises:
            ConfigError: For a task that does not generate.
            DataError: For any other input.
        """
        raise ConfigError(
            f"{self.name} does not generate",
            expected="a run of causal_lm",
            fix="call predict",
        )

    def taught_ends(self, tokenizer: Tokenizer) -> tuple[int, ...]:
        """Returns the tokens that end answers, for runs that did not record them."""
        return ()

    def asked(self, row: Mapping[str, Any]) -> tuple[Any, str]:
        """Returns the question of a row, as an input of `prompts`, and its answer.

        Raises:
            ConfigError: For a task that does not generate.
        """
        raise ConfigError(f"{self.name} does not generate", fix="call evaluate")

    def check_inputs(self, table: Table) -> None:
        """Raises an error for a value that is not text. Empty text is fine.

        Raises:
            DataError: With the value and its place.
        """
        for name in self.text:
            for row, value in enumerate(table.column(name, "task.text")):
                if not isinstance(value, str):
                    raise DataError(
                        f"{shorten(value)} is not text",
                        where=f'{table.where(row)}, column "{name}"',
                        expected="a text",
                        fix='give a text, "" for none',
                    )
