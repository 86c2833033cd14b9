"""What every task is."""

from __future__ import annotations

import abc
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tfft.core.registry import Registry
from tfft.data.batching import Examples
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.pretrained import Pretrained
from tfft.models.tokenizer import Tokenizer

TASKS = Registry("task", "tfft.tasks")

Labels = tuple[Any, ...]


class Task(abc.ABC):
    """A task; subclasses are frozen configurations.

    Attributes:
        name: What users call it.
        evaluation: Name of the report that suits its outputs.
        text: The columns it reads.
        max_length: The most tokens of a row.
    """

    name: ClassVar[str]
    evaluation: ClassVar[str]
    text: tuple[str, ...]
    max_length: int

    @property
    @abc.abstractmethod
    def peft_task_type(self) -> str:
        """What PEFT calls it."""

    @abc.abstractmethod
    def suited_to(self, pretrained: Pretrained) -> tuple[Task, list[str]]:
        """Returns the task with what a model decides, and a sentence for each."""

    @abc.abstractmethod
    def bad_rows(self, table: Table, *, labelled: bool = True) -> list[BadRow]:
        """Returns the rows the task cannot use.

        Raises:
            DataError: When a column is missing.
        """

    @abc.abstractmethod
    def learn_labels(self, table: Table) -> Labels:
        """Returns the labels of the training rows, in the order of their ids.

        Raises:
            DataError: When they cannot be learned from.
        """

    @abc.abstractmethod
    def check_labels(self, table: Table, labels: Labels, split: str) -> None:
        """Raises for a label that training did not have.

        Raises:
            DataError: With the label and its row.
        """

    @abc.abstractmethod
    def strata(self, table: Table) -> Sequence[Hashable]:
        """Returns what a split keeps in proportion, one value a row."""

    @abc.abstractmethod
    def keys(self, table: Table) -> Sequence[Hashable]:
        """Returns what a split keeps together, one value a row."""

    @abc.abstractmethod
    def encode(
        self, table: Table, tokenizer: Tokenizer, labels: Labels | None
    ) -> tuple[Examples, int]:
        """Returns the rows as ids, without labels when None, and how many were cut."""

    @abc.abstractmethod
    def build(self, pretrained: Pretrained, labels: Labels, seed: int) -> Any:
        """Returns the Keras model: the backbone with a new head."""

    @abc.abstractmethod
    def loss(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the sum of the losses and the sum of the weights of a batch."""

    @abc.abstractmethod
    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Returns outputs of the model as probabilities."""

    @abc.abstractmethod
    def answers(
        self, probabilities: np.ndarray, labels: Labels
    ) -> list[dict[str, Any]]:
        """Returns what users read, one for each row."""

    @abc.abstractmethod
    def rows(self, inputs: Sequence[Any]) -> Table:
        """Returns a table of what users ask about.

        Raises:
            DataError: For an input of another form.
        """
