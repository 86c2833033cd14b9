"""A run: a fine-tuned model with its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.errors import MissingInputError
from tfft.data import sources
from tfft.data.asked import asked
from tfft.data.batching import Batches
from tfft.data.fingerprint import row_fingerprints
from tfft.data.rows import OnBadRows, without_bad_rows
from tfft.data.table import Table
from tfft.evaluation.board import write_to_board
from tfft.evaluation.details import Details
from tfft.evaluation.pictures import pictures
from tfft.evaluation.report import REPORTS, Report
from tfft.generation.sampling import Sampling
from tfft.runs.build import Built
from tfft.runs.export.huggingface import export_run
from tfft.runs.export.saved_model import export_as
from tfft.runs.folder import LOGS, read_record, read_trained_rows
from tfft.runs.generating import generate_with, score_texts
from tfft.runs.report_files import write_report_files
from tfft.tasks.task import Labels, Task

_ROWS_AT_ONCE = 32


class Run:
    """A fine-tuned model and the folder that holds it; `load` or `finetune` make it.

    Args:
        folder: The run folder.
        task: What it was trained for.
        labels: The labels by id.
        built: The network with its weights.
    """

    def __init__(self, folder: Path, task: Task, labels: Labels, built: Built) -> None:
        self.folder, self.task, self.labels, self.built = folder, task, labels, built

    @property
    def record(self) -> dict[str, Any]:
        """The content of `run.json`."""
        return read_record(self.folder)

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The scores by split."""
        return self.record["metrics"]

    @property
    def model(self) -> Any:
        """The Keras model."""
        return self.built.network

    @cached_property
    def _forward(self) -> Any:
        from tfft.evaluation.forward import Forward

        return Forward(self.built.network, per_token=self.task.per_token)

    def compute_with(self, shorten: Callable[[Any], Any]) -> None:
        """Takes a shorter way to the network's outputs, until `refresh`.

        Args:
            shorten: Returns it, from the forward pass of the whole network.
        """
        self.__dict__["_forward"] = shorten(self._forward)

    def refresh(self) -> None:
        """Traces the network anew, after its precision or its layers changed."""
        self.__dict__.pop("_forward", None)

    def predictions(self, table: Table) -> Any:
        """Returns the task's predictions for the rows of a table."""
        encoded = self.task.encode(table, self.built.pretrained.tokenizer, None)
        outputs = self._forward(Batches(encoded.examples, _ROWS_AT_ONCE))
        return self.task.decode(outputs, encoded, table, self.labels)

    def predict(self, inputs: Any) -> list[dict[str, Any]]:
        """Returns an answer for each input.

        Args:
            inputs: A list of texts, of pairs for tasks with two text columns, or of
                dicts; or anything that holds rows with the text columns: a data frame,
                a dict of columns, a file. Of several splits, the test split.

        Returns:
            A dict for each input; the page of the task says what it holds.

        Raises:
            ConfigError: For an object that holds no rows.
            DataError: For an input of another form, or an empty file.
        """
        given = asked(inputs)
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
        """Returns what the model writes after prompts.

        Args:
            prompts: A list of texts, of lists of messages with `role` and `content`,
                or of rows like those of the training; or anything that holds such rows,
                as for `predict`.
            batch_size: Prompts at a time, of any lengths.
            stream: Returns an iterator that gives each bit of text once it is
                certain, with the number of its prompt.
            **options: Those of `Sampling`: `max_new_tokens`, `temperature`, `top_k`,
                `top_p`, `repetition_penalty`, `stop`, `stop_tokens`, `seed`.

        Returns:
            A `Generation` for each prompt, with `text`, `token_ids` and `finish`.

        Raises:
            ConfigError: For a task that does not generate, and for options that
                cannot be meant.
            DataError: For a prompt that cannot be used.
        """
        return generate_with(
            self.built.pretrained,
            self.task,
            prompts,
            Sampling(**options),
            batch_size=batch_size,
            stream=stream,
        )

    def score_texts(
        self,
        data: Any,
        scores: Sequence[str] = ("bleu", "chrf", "rouge", "exact_match"),
        rows: int = 50,
        **options: Any,
    ) -> dict[str, float]:
        """Returns how near generated answers come to the given ones, 0 to 100.

        Args:
            data: Anything that holds rows; of several splits, the test split.
            scores: Of `bleu`, `chrf`, `rouge` and `exact_match`.
            rows: How many of the rows, the first.
            **options: Those of `Sampling`.

        Raises:
            ConfigError: For a task that does not generate, or another score.
            DataError: For rows that cannot be used.
        """
        pretrained, sampling = self.built.pretrained, Sampling(**options)
        return score_texts(pretrained, self.task, data, scores, rows, sampling)

    def evaluate(
        self,
        data: Any,
        on_bad_rows: OnBadRows = "error",
        slice_by: Sequence[str] = (),
    ) -> Report:
        """Returns the report of labelled rows, with what stands behind its scores.

        Args:
            data: Anything that holds rows; of several splits, the test split.
            on_bad_rows: What to do with rows that cannot be used.
            slice_by: Columns whose values are scored one by one.

        Raises:
            DataError: For rows that cannot be used, or a label training did not have.
        """
        table = sources.read_one(data)
        bad = self.task.bad_rows(table)
        table, notes = without_bad_rows(table, bad, on_bad_rows)
        unsuited = self.task.unsuited_rows(table, self.built.pretrained.tokenizer)
        table, further = without_bad_rows(table, unsuited, on_bad_rows)
        table, mended = self.task.mended(table)
        self.task.check_labels(table, self.labels, "given")
        report = self.full_report(table, slice_by)
        about_rows = (*notes, *further, *mended, *self._remembered(table))
        return dataclasses.replace(report, notes=(*about_rows, *report.notes))

    @property
    def trained_rows(self) -> np.ndarray:
        """The fingerprints of the rows it was trained on; none when unknown."""
        return read_trained_rows(self.folder)

    def _remembered(self, table: Table) -> list[str]:
        """Returns a sentence when rows to be scored are rows that were learned."""
        rows = row_fingerprints(self.task.texts(table))
        known = int(np.isin(rows, self.trained_rows).sum())
        share = f"{known:,} of {len(table):,} rows"
        note = f"{share} were trained on: scores there say what the model remembers"
        return [note] * bool(known)

    def evaluate_table(self, table: Table) -> Report:
        """Returns the scores of checked rows."""
        report = REPORTS.get(self.task.evaluation)
        gold = self.task.gold(table, self.labels)
        return report.make(self.predictions(table), gold, self.labels)

    def full_report(self, table: Table, slice_by: Sequence[str] = ()) -> Report:
        """Returns the report of checked rows, with its details."""
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

    def report(self) -> str:
        """Returns the report of the training as Markdown.

        Raises:
            MissingInputError: When training did not get that far.
        """
        path = self.folder / "report.md"
        if not path.is_file():
            raise MissingInputError(
                "the run has no report", where=str(path), fix="resume the training"
            )
        return path.read_text(encoding="utf-8")

    def write_reports(self, reports: Mapping[str, Report], epoch: int) -> None:
        """Writes reports by split: JSON, Markdown, HTML, and into TensorBoard.

        Pictures are those of the last split: test, or validation without one.
        """
        drawn = {split: {} for split in reports}
        for split in list(reports)[-1:]:
            drawn[split] = pictures(reports[split])
        title = f"{self.task.name} · {self.folder.name}"
        write_report_files(self.folder, reports, title, drawn)
        if reports:
            write_to_board(self.folder / LOGS / "report", reports, drawn, epoch)

    def export(
        self,
        directory: str | Path,
        data: Any = None,
        *,
        format: str = "saved_model",
        dtype: str = "float32",
        min_agreement: float = 0.95,
    ) -> Path:
        """Writes a SavedModel that answers from raw text, or a model for devices.

        It appears only after a process without tfft has answered as the run does.
        What a format or a dtype costs is printed and written beside it.

        Args:
            directory: The model's folder for TF Serving, in which a version folder
                is made; for another format a new or empty folder.
            data: Rows to prove it on, beside hard texts. Defaults to the training's.
            format: `saved_model`; or `litert` or `onnx`, which take ids and give
                numbers. Defaults to `saved_model`.
            dtype: In what the backbone's matrices are kept: `float32`; in a
                SavedModel also `bfloat16` or `int8`, in LiteRT `float16` or `int8`.
                Defaults to `float32`.
            min_agreement: The least share of rows with the words of the run, for
                another dtype. Defaults to 0.95.

        Returns:
            The version folder, or the folder.

        Raises:
            TfftError: When what was written does not answer as the run does.
            ConfigError: For another format or dtype, and for a task without one.
            DataError: When the tokenizer has no exact form inside a graph.
            StorageError: When the disk refuses.
        """
        return export_as(self, Path(directory), data, format, dtype, min_agreement)

    def export_huggingface(self, directory: str | Path, head: bool = True) -> Path:
        """Writes the model, its adapter merged, as transformers loads it.

        Args:
            directory: A new or empty folder.
            head: Whether to write the head as well, which takes a class of
                transformers that has such a head. Defaults to True.

        Returns:
            The folder.

        Raises:
            ConfigError: When there is no such class.
            OutputInUseError: When the folder is not empty.
            StorageError: When the disk refuses.
        """
        return export_run(
            self.built, self.task, self.labels, Path(directory), head=head
        )
