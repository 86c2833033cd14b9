"""A fine-tuned network that answers, and a record of where it comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tfft.data import sources
from tfft.data.batching import Batches
from tfft.data.fingerprint import row_fingerprints
from tfft.data.prediction_inputs import prediction_inputs
from tfft.data.rows import OnBadRows, without_bad_rows
from tfft.data.table import Table
from tfft.evaluation.details import Details
from tfft.evaluation.report import REPORTS, Report
from tfft.generation.sampling import Sampling
from tfft.runs.build import Built
from tfft.runs.generating import generate_with, score_texts
from tfft.tasks.task import Labels, Task

_ROWS_AT_ONCE = 32

Forward = Callable[[Batches], Any]


@dataclasses.dataclass(frozen=True)
class Provenance:
    """The origin of a predictor, for the files of an export.

    Attributes:
        name: The model's name, such as that of its run folder.
        record: The content of `run.json`.
    """

    name: str
    record: Mapping[str, Any]


class Predictor:
    """A network with its tokenizer, task and labels. It knows no folder.

        predictor = Predictor(built, task, labels)
        predictor.predict(["a text"])         # answers, for users
        predictor.predictions(table)          # outputs decoded, for metrics
        predictor.plain_report(table)         # scores of checked rows
        predictor.full_report(table)          # the same with the details behind them

    The forward pass is traced when it is first used, and the trace keeps the precision
    that the network has at that moment. The weights may change afterward. After a
    change of precision or of layers, make a new predictor; making one costs nothing.
    Two predictors can share a trace: pass `forward=other.forward`.

    Args:
        built: The network with its weights, its adapter and its tokenizer.
        task: The task that the network was trained for.
        labels: The labels by id.
        forward: Maps batches to the outputs of all their examples, in order. Defaults
            to a trace of the network.
    """

    def __init__(
        self, built: Built, task: Task, labels: Labels, forward: Forward | None = None
    ) -> None:
        self.built, self.task, self.labels = built, task, labels
        self._given_forward = forward

    @property
    def model(self) -> Any:
        """The Keras model."""
        return self.built.network

    @cached_property
    def forward(self) -> Forward:
        """The forward pass: the one that was given, or a trace of the network."""
        if self._given_forward is not None:
            return self._given_forward
        from tfft.evaluation import forward

        return forward.Forward(self.built.network, per_token=self.task.per_token)

    def predictions(self, table: Table) -> Any:
        """Returns the task's predictions for the rows of a table."""
        encoded = self.task.encode(table, self.built.pretrained.tokenizer, None)
        outputs = self.forward(Batches(encoded.examples, _ROWS_AT_ONCE))
        return self.task.decode(outputs, encoded, table, self.labels)

    def predict(self, inputs: Any) -> list[dict[str, Any]]:
        """Returns an answer for each input; see `Run.predict`."""
        given = prediction_inputs(inputs)
        table = given if isinstance(given, Table) else self.task.rows(given)
        if not len(table):
            return []
        self.task.check_inputs(table)
        return self.task.answers(self.predictions(table), table, self.labels)

    def generate(
        self,
        prompts: Any,
        *,
        batch_size: int = 16,
        stream: bool = False,
        **options: Any,
    ) -> Any:
        """Returns what the model writes after prompts; see `Run.generate`."""
        return generate_with(
            self.built.pretrained,
            self.task,
            prompts,
            Sampling(**options),
            batch_size=batch_size,
            stream=stream,
        )

    def score_texts(
        self, data: Any, scores: Sequence[str], rows: int, **options: Any
    ) -> dict[str, float]:
        """Returns how close generated answers are to the references.

        See `Run.score_texts`.
        """
        pretrained, sampling = self.built.pretrained, Sampling(**options)
        return score_texts(pretrained, self.task, data, scores, rows, sampling)

    def evaluate(
        self,
        data: Any,
        on_bad_rows: OnBadRows = "error",
        slice_by: Sequence[str] = (),
        trained_rows: Sequence[int] | np.ndarray = (),
    ) -> Report:
        """Returns the report of labeled rows; see `Run.evaluate`.

        Args:
            data: Anything that holds rows. Of several splits the test split is used.
            on_bad_rows: What to do with unusable rows.
            slice_by: Columns; each of their values gets scores of its own.
            trained_rows: Fingerprints of the rows that the network was trained on. A
                note counts those among the rows to score.
        """
        table = sources.read_one(data)
        bad = self.task.bad_rows(table)
        table, notes = without_bad_rows(table, bad, on_bad_rows)
        unsuited = self.task.unsuited_rows(table, self.built.pretrained.tokenizer)
        table, further = without_bad_rows(table, unsuited, on_bad_rows)
        table, mended = self.task.mended(table)
        self.task.check_labels(table, self.labels, "given")
        report = self.full_report(table, slice_by)
        about_rows = (*notes, *further, *mended, *self._seen(table, trained_rows))
        return dataclasses.replace(report, notes=(*about_rows, *report.notes))

    def _seen(self, table: Table, trained_rows: Any) -> list[str]:
        """Returns a note if rows to be scored were trained on."""
        rows = row_fingerprints(self.task.texts(table))
        known = int(np.isin(rows, np.asarray(trained_rows, "uint64")).sum())
        share = f"{known:,} of {len(table):,} rows"
        note = f"{share} were trained on: scores there say what the model remembers"
        return [note] * bool(known)

    def plain_report(self, table: Table) -> Report:
        """Returns the scores of checked rows, without details."""
        kind = REPORTS.get(self.task.evaluation)
        gold = self.task.gold(table, self.labels)
        return kind.make(self.predictions(table), gold, self.labels)

    def full_report(self, table: Table, slice_by: Sequence[str] = ()) -> Report:
        """Returns the report of checked rows, with the details behind its scores."""
        columns = {name: table.column(name, "slice_by") for name in slice_by}
        kind = REPORTS.get(self.task.evaluation)
        compared = (
            self.predictions(table),
            self.task.gold(table, self.labels),
            self.labels,
        )
        details = Details.of(
            kind.evidence(*compared),
            self.task.texts(table),
            [table.where(row) for row in range(len(table))],
            columns,
        )
        return dataclasses.replace(kind.make(*compared), details=details)
