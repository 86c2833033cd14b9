"""Question answering: the answer is a part of the context, or the row has no answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tfft.core.config import configuration, require
from tfft.core.errors import DataError, shorten
from tfft.data.batching import Examples
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.models.pretrained import Pretrained
from tfft.tasks.answers.answering import (
    Answered,
    answer_of,
    best_answers,
    cut_questions,
)
from tfft.tasks.answers.gold_answers import (
    GoldAnswer,
    answers_problem,
    ends_in_windows,
    read_answers,
)
from tfft.tasks.answers.mending import with_mended_answers
from tfft.tasks.answers.squad_rules import best_threshold, f1
from tfft.tasks.encoded import Encoded
from tfft.tasks.endpoint import Served
from tfft.tasks.task import TASKS, Labels, Task
from tfft.tasks.windows import row_length
from tfft.text.tokenizer import Tokenizer


@TASKS.register("question_answering")
@configuration(
    aliases={
        "answers": "answers_column",
        "doc_stride": "stride",
        "max_answer_length": "max_answer",
        "max_query_length": "max_question",
    }
)
class QuestionAnswering(Task):
    """Answers that are parts of a context, as in SQuAD.

    A context longer than `max_length` becomes overlapping windows. The answer comes
    from the window that gives it the highest score.

    Args:
        text: Columns with question and context. Defaults to `question` and `context`.
        answers_column: Column with the correct answers, a list of dicts with `text` and
            `answer_start`; an empty list means that there is no answer. Defaults to
            `answers`.
        max_length: Maximum number of tokens of a window, including the question and
            special tokens. Defaults to 384.
        stride: Tokens of the context that a window shares with the previous one.
            Defaults to 128.
        max_question: Maximum number of tokens of a question. Longer questions are
            truncated and counted. Defaults to 64.
        max_answer: Maximum number of tokens of an answer. Defaults to 30.
        n_best: Number of candidates to list. Defaults to 5.
        no_answer: Whether "no answer" is a possible answer. Defaults to yes if a
            training row has no answer.
        no_answer_threshold: How much higher than the best answer "no answer" must score
            to be chosen. Defaults to the best F1 on the validation rows.
        dropout: Dropout on the states before the head. Defaults to 0, as BERT's authors
            use none here, unlike before a classifier.

    >>> QuestionAnswering(doc_stride=64).stride
    64
    """

    evaluation = "question_answering"
    per_token = True
    tunes = True

    text: Sequence[str] = ("question", "context")
    answers_column: str = "answers"
    max_length: int = 384
    stride: int = 128
    max_question: int = 64
    max_answer: int = 30
    n_best: int = 5
    no_answer: bool | None = None
    no_answer_threshold: float | None = None
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuses values that make no sense."""
        require(len(self.text) == 2, self, "text", "question and context")
        require(self.max_length >= 16, self, "max_length", "16 or more tokens")
        most = self.max_length // 3
        require(0 <= self.stride <= most, self, "stride", f"0 to {most} tokens")
        require(1 <= self.max_question <= most, self, "max_question", f"1 to {most}")
        require(self.max_answer >= 1, self, "max_answer", "1 or more tokens")
        require(self.n_best >= 1, self, "n_best", "1 or more")
        require(0 <= self.dropout < 1, self, "dropout", "from 0 up to but not 1")

    @property
    def peft_task_type(self) -> str:  # noqa: D102
        return "QUESTION_ANS"

    def suited_to(self, pretrained: Pretrained) -> tuple[Task, list[str]]:
        """Returns the task with windows that fit the model."""
        limit = pretrained.max_length
        if limit is None or self.max_length <= limit:
            return self, []
        task = replace(
            self,
            max_length=limit,
            stride=min(self.stride, limit // 3),
            max_question=min(self.max_question, limit // 3),
        )
        note = f"max_length is the model's limit, {limit}, and stride {task.stride}"
        return task, [note]

    def learned_from(self, table: Table, labels: Labels) -> tuple[Task, list[str]]:
        """Returns the task with `no_answer` set from the training rows."""
        if self.no_answer is not None:
            return self, []
        silent = sum(not answers for answers in self._answers(table))
        note = f"{silent:,} of {len(table):,} training questions have no answer"
        return replace(self, no_answer=silent > 0), [note] if silent else []

    def tuned(
        self, predictions: Sequence[Answered], gold: Sequence[list[str]], labels: Labels
    ) -> tuple[Task, list[str]]:
        """Returns the task with the no-answer threshold of the highest F1."""
        if not self.no_answer or self.no_answer_threshold is not None:
            return self, []
        pairs = list(zip(predictions, gold, strict=True))
        threshold, score = best_threshold(
            [one.no_answer_lead for one, _ in pairs],
            [f1(one.best_text, right) for one, right in pairs],
            [f1("", right) for _, right in pairs],
        )
        note = f"no_answer_threshold is {threshold:.3f}, validation F1 {score:.4f}"
        return replace(self, no_answer_threshold=threshold), [note]

    def bad_rows(self, table: Table, *, labelled: bool = True) -> list[BadRow]:
        """Returns the rows without a question or context, or with unusable answers.

        Raises:
            DataError: When a column is missing.
        """
        bad = [
            BadRow(row, name, "empty text")
            for name in self.text
            for row, value in enumerate(table.column(name, "task.text"))
            if not isinstance(value, str) or not value.strip()
        ]
        if labelled:
            contexts = table.column(self.text[1])
            found = table.column(self.answers_column, "task.answers_column")
            for row, (value, context) in enumerate(zip(found, contexts, strict=True)):
                reason = answers_problem(value, context)
                if reason:
                    bad.append(BadRow(row, self.answers_column, reason))
        return sorted(bad)

    def mended(self, table: Table) -> tuple[Table, list[str]]:
        """Returns the rows with misplaced answers corrected or dropped."""
        return with_mended_answers(table, self.text[1], self.answers_column)

    def _answers(self, table: Table) -> list[list[GoldAnswer]]:
        column = table.column(self.answers_column, "task.answers_column")
        return [read_answers(value) for value in column]

    def learn_labels(self, table: Table) -> Labels:
        """Returns no labels, because answers are learned."""
        return ()

    def check_labels(self, table: Table, labels: Labels, split: str) -> None:
        """Accepts every answer."""

    def described(self, table: Table) -> list[tuple[str, ...]]:
        """Returns whether each row has an answer, in words."""
        return [("answer",) if one else ("no answer",) for one in self._answers(table)]

    def strata(self, table: Table) -> Sequence[Hashable]:
        """Returns whether each row has an answer."""
        return self.described(table)

    def keys(self, table: Table) -> Sequence[Hashable]:
        """Returns the contexts: splits keep all questions about one together."""
        return table.column(self.text[1], "task.text")

    def encode(
        self, table: Table, tokenizer: Tokenizer, labels: Labels | None
    ) -> Encoded:
        """Returns the rows as windows; those that contain an answer have its ends."""
        questions, cut = cut_questions(
            tokenizer, table.column(self.text[0]), self.max_question
        )
        contexts = table.column(self.text[1])
        by_row = tokenizer.windows(questions, contexts, self.max_length, self.stride)
        windows = [one for row in by_row for one in row]
        starts = np.cumsum([0, *map(len, by_row)])
        examples = Examples(
            sequences={
                "token_ids": [one.token_ids for one in windows],
                "segment_ids": [one.segment_ids for one in windows],
            },
            values={}
            if labels is None
            else ends_in_windows(self._answers(table), by_row),
            padding={"token_ids": tokenizer.pad_id, "segment_ids": 0},
            sources=[[row] for row, parts in enumerate(by_row) for _ in parts],
        )
        places = list(zip(starts[:-1], by_row, strict=True))
        lengths = [row_length(parts, self.stride) for parts in by_row]
        return Encoded(examples, cut, places, lengths=lengths)

    def build(self, pretrained: Pretrained, labels: Labels, seed: int) -> Any:
        """Returns a `TokenClassifier` with two outputs: start and end of the answer."""
        from tfft.tasks.networks.token_classifier import TokenClassifier

        return TokenClassifier(
            pretrained.backbone, 2, dropout=self.dropout, module="qa_outputs", seed=seed
        )

    def loss(self, outputs: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Returns the sums of -log p(start) - log p(end), halved, and of the weights.

        Args:
            outputs: Logits, shape (batch, length, 2).
            batch: `start_positions`, `end_positions` and `weights`, shape (batch,),
                and `padding_mask`, shape (batch, length).
        """
        from keras import ops

        real = ops.cast(batch["padding_mask"], "float32")[:, :, None]
        logits = ops.transpose(outputs - 1e9 * (1 - real), (0, 2, 1))
        ends = ops.stack([batch["start_positions"], batch["end_positions"]], axis=1)
        losses = ops.sparse_categorical_crossentropy(ends, logits, from_logits=True)
        weights = batch["weights"]
        return ops.sum(ops.mean(losses, axis=1) * weights), ops.sum(weights)

    def gold(self, table: Table, labels: Labels) -> list[list[str]]:
        """Returns the texts of the correct answers of each row; empty for no answer."""
        return [[one.text for one in answers] for answers in self._answers(table)]

    def decode(
        self,
        outputs: Sequence[np.ndarray],
        encoded: Encoded,
        table: Table,
        labels: Labels,
    ) -> list[Answered]:
        """Returns the candidates of each row, and the score of no answer."""
        contexts = table.column(self.text[1])
        return [
            best_answers(
                outputs[first : first + len(windows)],
                windows,
                context,
                max_answer=self.max_answer,
                n_best=self.n_best,
                threshold=self._threshold,
            )
            for (first, windows), context in zip(encoded.places, contexts, strict=True)
        ]

    @property
    def _threshold(self) -> float | None:
        return (self.no_answer_threshold or 0.0) if self.no_answer else None

    def answers(
        self, predictions: Sequence[Answered], table: Table, labels: Labels
    ) -> list[dict[str, Any]]:
        """Returns the answer of each row, "" without one, and `candidates`, best first.

        `start` and `end` count characters of the context.
        """
        return [answer_of(one) for one in predictions]

    def served(self, labels: Labels) -> Served:
        """Returns the graph half: the answer, its place, and candidates."""
        from tfft.tasks.answers.answering_in_graph import ServedAnswers

        options = (self.stride, self.max_question, self.max_answer, self.n_best)
        return ServedAnswers(*options, self._threshold)

    def rows(self, inputs: Sequence[Any]) -> Table:
        """Returns a table from pairs of question and context, or dicts of them."""
        rows = (self._row(value, index) for index, value in enumerate(inputs))
        return Table.from_rows(rows, "inputs")

    def _row(self, value: Any, index: int) -> dict[str, Any]:
        if isinstance(value, Mapping) and all(name in value for name in self.text):
            return {name: value[name] for name in self.text}
        if isinstance(value, list | tuple) and len(value) == 2:
            return dict(zip(self.text, value, strict=True))
        raise DataError(
            f"input {index + 1} is {shorten(value)}",
            expected="a pair of question and context",
            fix=f"give ({', '.join(self.text)}), or a dict with these keys",
        )
