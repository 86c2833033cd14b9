"""A run: a fine-tuned model and the folder that holds it."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.config import also_accepts
from tfft.core.errors import MissingInputError
from tfft.data.rows import OnBadRows
from tfft.data.table import Table
from tfft.evaluation.report import Report
from tfft.generation.sampling import Sampling
from tfft.runs.build import Built
from tfft.runs.export.huggingface import export_run
from tfft.runs.export.saved_model import export_as
from tfft.runs.folder import read_record, read_trained_rows
from tfft.runs.predictor import Predictor, Provenance
from tfft.runs.report_files import write_reports
from tfft.tasks.task import Labels, Task


class FineTuned(abc.ABC):
    """A predictor and where it comes from: a run folder, or the folders of several.

    Args:
        predictor: The network with its tokenizer, task and labels.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name of the run in exports and reports."""

    @property
    @abc.abstractmethod
    def record(self) -> dict[str, Any]:
        """The content of `run.json`."""

    @property
    @abc.abstractmethod
    def trained_rows(self) -> np.ndarray:
        """The fingerprints of the rows it was trained on; empty if unknown."""

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The scores by split."""
        return self.record["metrics"]

    @property
    def model(self) -> Any:
        """The Keras model."""
        return self.predictor.model

    @property
    def task(self) -> Task:
        """The task it was trained for."""
        return self.predictor.task

    @property
    def labels(self) -> Labels:
        """The labels by id."""
        return self.predictor.labels

    @property
    def built(self) -> Built:
        """The network with its adapter, its backbone and its tokenizer."""
        return self.predictor.built

    def predictions(self, table: Table) -> Any:
        """Returns the task's predictions for the rows of a table."""
        return self.predictor.predictions(table)

    def predict(self, inputs: Any) -> list[dict[str, Any]]:
        """Returns an answer for each input.

        Args:
            inputs: A list of texts, of pairs for tasks with two text columns, or of
                dicts; or anything that holds rows with the text columns: a data frame,
                a dict of columns, a file. Of several splits the test split is used.

        Returns:
            A dict for each input; the task's page lists its keys.

        Raises:
            ConfigError: For an object that holds no rows.
            DataError: For any other input, or an empty file.
        """
        return self.predictor.predict(inputs)

    @also_accepts(Sampling)
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
            batch_size: Number of prompts to compute together. They may differ in
                length. Defaults to 16.
            stream: Returns an iterator that yields each piece of text, with the number
                of its prompt, as soon as no later token can change it.
            **options: Those of `Sampling`: `max_new_tokens`, `temperature`, `top_k`,
                `top_p`, `repetition_penalty`, `stop`, `stop_tokens`, `seed`.

        Returns:
            A `Generation` for each prompt, with `text`, `token_ids` and `finish`.

        Raises:
            ConfigError: For a task that does not generate, and for invalid options.
            DataError: For an unusable prompt.
        """
        return self.predictor.generate(
            prompts, batch_size=batch_size, stream=stream, **options
        )

    def score_texts(
        self,
        data: Any,
        scores: Sequence[str] = ("bleu", "chrf", "rouge", "exact_match"),
        rows: int = 50,
        **options: Any,
    ) -> dict[str, float]:
        """Returns how close generated answers are to the references, from 0 to 100.

        Args:
            data: Anything that holds rows. Of several splits the test split is used.
            scores: Any of `bleu`, `chrf`, `rouge` and `exact_match`.
            rows: Number of rows to use, from the first.
            **options: Those of `Sampling`.

        Raises:
            ConfigError: For a task that does not generate, or an unknown score.
            DataError: For unusable rows.
        """
        return self.predictor.score_texts(data, scores, rows, **options)

    def evaluate(
        self,
        data: Any,
        on_bad_rows: OnBadRows = "error",
        slice_by: Sequence[str] = (),
    ) -> Report:
        """Returns the report of labeled rows, with the details behind its scores.

        Args:
            data: Anything that holds rows. Of several splits the test split is used.
            on_bad_rows: What to do with unusable rows.
            slice_by: Columns; each of their values gets scores of its own.

        Raises:
            DataError: For unusable rows, or a label that training did not have.
        """
        return self.predictor.evaluate(data, on_bad_rows, slice_by, self.trained_rows)

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

        It is published only after a process without tfft has given the run's answers
        with it. What a format or a dtype costs is printed and stored with the model.

        Args:
            directory: The model's folder for TF Serving, in which a version folder
                is made; for another format a new or empty folder.
            data: Rows to check the export on, in addition to built-in hard texts.
                Defaults to the training data.
            format: `saved_model`; or `litert` or `onnx`, which take ids and return
                numbers. Defaults to `saved_model`.
            dtype: How the backbone's matrices are stored: `float32`; in a SavedModel
                also `bfloat16` or `int8`, in LiteRT `float16` or `int8`. Defaults to
                `float32`.
            min_agreement: With another dtype than `float32`, the least share of rows
                whose answer must be the run's. Defaults to 0.95.

        Returns:
            The version folder, or the folder.

        Raises:
            TfftError: When the export does not answer as the run does.
            ConfigError: For an unknown format or dtype, and for a task that the format
                does not support.
            DataError: When the tokenizer has no exact form inside a graph.
            StorageError: When the disk refuses.
        """
        source = Provenance(self.name, self.record)
        place = Path(directory)
        return export_as(
            self.predictor, source, place, data, format, dtype, min_agreement
        )

    def export_huggingface(self, directory: str | Path, head: bool = True) -> Path:
        """Writes the model, its adapter merged, as a folder that transformers loads.

        Args:
            directory: A new or empty folder.
            head: Whether to write the head as well, for which transformers must have a
                class with such a head. Defaults to True.

        Returns:
            The folder.

        Raises:
            ConfigError: When there is no such class.
            OutputInUseError: When the folder is not empty.
            StorageError: When the disk refuses.
        """
        return export_run(self.predictor, Path(directory), head=head)


class Run(FineTuned):
    """A fine-tuned model and the folder that holds it; `load` or `finetune` make it.

    Args:
        folder: The run folder.
        predictor: The network with its tokenizer, task and labels.
    """

    def __init__(self, folder: Path, predictor: Predictor) -> None:
        super().__init__(predictor)
        self.folder = folder

    @property
    def name(self) -> str:
        """The name of the run folder."""
        return self.folder.name

    @property
    def record(self) -> dict[str, Any]:
        """The content of `run.json`."""
        return read_record(self.folder)

    @property
    def trained_rows(self) -> np.ndarray:
        """The fingerprints of the rows it was trained on; empty if unknown."""
        return read_trained_rows(self.folder)

    def report(self) -> str:
        """Returns the report of the training as Markdown.

        Raises:
            MissingInputError: When training stopped before its report.
        """
        path = self.folder / "report.md"
        if not path.is_file():
            raise MissingInputError(
                "the run has no report", where=str(path), fix="resume the training"
            )
        return path.read_text(encoding="utf-8")

    def write_reports(self, reports: Mapping[str, Report], epoch: int) -> None:
        """Writes reports by split as JSON, Markdown and HTML, and for TensorBoard."""
        write_reports(self.folder, self.task.name, reports, epoch)
