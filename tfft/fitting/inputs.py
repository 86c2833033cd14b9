"""The inputs of a training: the rows, the model, and the rows as its ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfft.data.batching import Examples
from tfft.data.rows import without_bad_rows
from tfft.data.table import Table
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.fit import Rows
from tfft.fitting.messages import described_labels
from tfft.fitting.prepare import Prepared, prepare
from tfft.fitting.reference import reference_of, with_reference
from tfft.fitting.token_notes import notes_on_tokens
from tfft.models.pretrained import Pretrained, load_pretrained
from tfft.runs.stored_model import save_base
from tfft.tasks.task import ReferencePass, Task

Say = Callable[[str], None]


@dataclass(frozen=True)
class Inputs:
    """The inputs of a training.

    Attributes:
        task: The task, with what it learned from the model and the rows.
        prepared: The rows by split.
        pretrained: The model.
        examples: The rows by split as ids.
        reference: The pass of the untouched model over rows, if the task asks for one.
    """

    task: Task
    prepared: Prepared
    pretrained: Pretrained
    examples: dict[str, Examples]
    reference: ReferencePass | None


def read_inputs(
    config: FinetuneConfig, task: Task, folder: Path | None, say: Say
) -> Inputs:
    """Reads rows and model, and encodes the rows for the model.

    Args:
        config: The options.
        task: The task as the user gave it.
        folder: Where a backbone object is saved; None does not save it.
        say: Shows the user a sentence.

    Raises:
        ConfigError: For options that do not fit the data or the model.
        MissingInputError: For missing data or a missing model.
        DataError: For unusable data or model files.
    """
    prepared = _prepare(config, task, say)
    pretrained = _load(config, folder, say)
    if not task.generates:
        pretrained = replace(pretrained, generation=None)
    task = _noted(task.suited_to(pretrained), say)
    task = _noted(task.learned_from(prepared.tables["train"], prepared.labels), say)
    examples, said = {}, list(prepared.notes)
    for split in prepared.tables:
        table = _suited(config, task, prepared.tables[split], split, pretrained, say)
        prepared.tables[split] = table
        encoded = task.encode(table, pretrained.tokenizer, prepared.labels)
        examples[split] = encoded.examples
        if split == "train" and pretrained.generation is not None:
            generation = pretrained.generation.ending_at(encoded.ends)
            pretrained = replace(pretrained, generation=generation)
        notes = notes_on_tokens(task, table, encoded, pretrained.tokenizer)
        if encoded.cut:
            notes.append(
                f"{encoded.cut:,} of {len(table):,} rows are longer than "
                f"{task.max_length} tokens and truncated"
            )
        for note in notes:
            say(f"note: {split}: {note}")
            said.append(f"{split}: {note}")
    prepared = replace(prepared, notes=tuple(said))
    reference = reference_of(task, pretrained, prepared.labels, config.seed)
    examples = {
        split: with_reference(one, reference) for split, one in examples.items()
    }
    return Inputs(task, prepared, pretrained, examples, reference)


def _prepare(config: FinetuneConfig, task: Task, say: Say) -> Prepared:
    prepared = prepare(
        task,
        config.data,
        validation=config.validation,
        test=config.test,
        on_bad_rows=config.on_bad_rows,
        seed=config.seed,
    )
    sizes = ", ".join(f"{len(t):,} {split}" for split, t in prepared.tables.items())
    say(f"data: {sizes} rows{described_labels(prepared.labels)}")
    for note in prepared.notes:
        say(f"note: {note}")
    return prepared


def _load(config: FinetuneConfig, folder: Path | None, say: Say) -> Pretrained:
    pretrained = load_pretrained(
        config.model, config.tokenizer, config.backbone_dropout
    )
    name = pretrained.source or type(pretrained.backbone).__name__
    say(f"model: {name} ({pretrained.architecture.name})")
    for note in pretrained.notes:
        say(f"note: {note}")
    if pretrained.source is None and folder is not None:
        save_base(folder, pretrained)
    return pretrained


def _noted(decided: tuple[Task, list[str]], say: Say) -> Task:
    """Shows the notes of a decision and returns its task."""
    task, notes = decided
    for note in notes:
        say(f"note: {note}")
    return task


def _suited(
    config: FinetuneConfig,
    task: Task,
    table: Table,
    split: str,
    pretrained: Pretrained,
    say: Say,
) -> Table:
    """Returns the rows that the model can take; shows a note about the others."""
    bad = task.unsuited_rows(table, pretrained.tokenizer)
    table, notes = without_bad_rows(table, bad, config.on_bad_rows)
    for note in notes:
        say(f"note: {split}: {note}")
    return table


def rows_of(
    inputs: Inputs,
    asked: Task,
    train: Sequence[int] | None = None,
    validation: Sequence[int] | Table | None = None,
) -> Rows:
    """Returns the rows of one training.

    Args:
        inputs: The inputs of a session.
        asked: The task as the user gave it, before it learned from any rows.
        train: Indices of rows; None for all of them.
        validation: Indices of rows, or other rows. None takes the validation split of
            the data, or no validation when `train` has indices.
    """
    tables, task = inputs.prepared.tables, inputs.task
    table, examples = tables["train"], inputs.examples["train"]
    held = tables.get("validation") if train is None else None
    if isinstance(validation, Table):
        held = validation
    elif validation is not None:
        held = table.select(validation)
    if train is None:
        return Rows(task, table, held, examples)
    part, labels = table.select(train), inputs.prepared.labels
    suited, _ = asked.suited_to(inputs.pretrained)
    task, _ = suited.learned_from(part, labels)
    if len(examples) == len(table) and not examples.sources:
        return Rows(task, part, held, examples.select(np.asarray(train)))
    tokenizer = inputs.pretrained.tokenizer  # rows are packed, or cut into windows
    encoded = task.encode(part, tokenizer, labels)
    examples = with_reference(encoded.examples, inputs.reference)
    return Rows(task, part, held, examples)
