"""Shows data, models and runs in tables, before or after training."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.errors import shorten
from tfft.data import sources
from tfft.data.rows import BadRow
from tfft.data.table import Table
from tfft.evaluation.tables import ReportTable
from tfft.fitting.token_notes import notes_on_tokens
from tfft.runs.folder import METRICS, read_record
from tfft.tasks.encoded import Encoded
from tfft.tasks.task import TASKS, Task

_SHOWN = 3
_MOST_LABELS = 50
_PERCENTILES = (50, 90, 99, 100)


@dataclass(frozen=True)
class Inspection:
    """The result of an inspection.

    Attributes:
        tables: The tables to show.
        problems: Rows that training would refuse, one sentence each.
        notes: The warnings that training would print, one sentence each.
    """

    tables: tuple[ReportTable, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def inspect_data(
    data: Any, task: Any = "text_classification", model: Any = None
) -> Inspection:
    """Returns tables that describe the rows as a task and a model will see them.

    Args:
        data: Anything that holds rows.
        task: Name or object.
        model: A model whose tokenizer counts and shows the tokens. Defaults to none.

    Raises:
        DataError: When the data cannot be read.
    """
    resolved: Task = TASKS.resolve(task)
    tables: list[ReportTable] = []
    problems: list[str] = []
    notes: list[str] = []
    tokenizer = None
    if model is not None:
        from tfft.models.pretrained import load_pretrained

        pretrained = load_pretrained(model)
        tokenizer = pretrained.tokenizer
        resolved, notes = resolved.suited_to(pretrained)
    for split, table in sources.read(data).items():
        usable = _usable(table, resolved.bad_rows(table), problems)
        usable, mended = resolved.mended(usable)
        problems += [f"{table.source}: {note}" for note in mended]
        if tokenizer is not None and len(usable):
            unsuited = resolved.unsuited_rows(usable, tokenizer)
            usable = _usable(usable, unsuited, problems)
        if len(usable):
            encoded = resolved.encode(usable, tokenizer, None) if tokenizer else None
            tables += [
                _labels(split, usable, resolved),
                _lengths(split, usable, resolved, encoded),
                _examples(split, usable, resolved, tokenizer),
            ]
            if encoded is not None:
                said = notes_on_tokens(resolved, usable, encoded, tokenizer)
                notes += [f"{split}: {note}" for note in said]
    return Inspection(tuple(tables), tuple(problems), tuple(notes))


def _usable(table: Table, bad: Sequence[BadRow], problems: list[str]) -> Table:
    """Returns the usable rows, and adds the problems of the others."""
    problems += [f"{table.where(one.row)}: {one.reason} · {one.column}" for one in bad]
    faulty = {one.row for one in bad}
    return table.select([row for row in range(len(table)) if row not in faulty])


def _labels(split: str, table: Table, task: Task) -> ReportTable:
    described = task.described(table)
    counts = Counter(label for labels in described for label in labels)
    rows = [
        (name, f"{n:,}", f"{n / counts.total():.1%}")
        for name, n in counts.most_common(_MOST_LABELS)
    ]
    copies = len(table) - len(set(task.texts(table)))
    rows.append(("all rows", f"{len(table):,}", ""))
    rows.append(("copies of a text", f"{copies:,}", f"{copies / len(table):.1%}"))
    return ReportTable(f"{split}: labels", ("label", "rows", "share"), tuple(rows))


def _lengths(
    split: str, table: Table, task: Task, encoded: Encoded | None
) -> ReportTable:
    header = ("", *(f"{p} %" for p in _PERCENTILES), "cut")
    characters = np.array([sum(map(len, texts)) for texts in task.texts(table)])
    rows = [("characters", *_percentiles(characters), "")]
    if encoded is not None:
        lengths = _percentiles(np.array(encoded.row_lengths))
        cut = f"{encoded.cut:,} rows ({encoded.cut / len(table):.0%})"
        rows.append(("tokens", *lengths, cut))
    return ReportTable(f"{split}: lengths", header, tuple(rows))


def _percentiles(values: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{value:,.0f}" for value in np.percentile(values, _PERCENTILES))


def _examples(split: str, table: Table, task: Task, tokenizer: Any) -> ReportTable:
    few = table.select(range(min(_SHOWN, len(table))))
    labels = [", ".join(one) for one in task.described(few)]
    if tokenizer is None:
        texts = [" | ".join(parts) for parts in task.texts(few)]
    else:
        # One by one: a long row is several examples, and short ones may share one.
        examples = [
            task.encode(few.select([row]), tokenizer, None).examples
            for row in range(len(few))
        ]
        token = tokenizer.library.id_to_token
        texts = [
            " ".join(map(str, map(token, one.sequences["token_ids"][0])))
            for one in examples
        ]
    rows = tuple(
        (label, shorten(text)) for label, text in zip(labels, texts, strict=True)
    )
    return ReportTable(f"{split}: first rows", ("label", "as the model sees it"), rows)


def inspect_run(folder: str | Path) -> Inspection:
    """Returns tables that describe a run folder, without loading the model.

    Raises:
        MissingInputError: When the run does not exist.
    """
    folder = Path(folder)
    record = read_record(folder)
    facts = {
        "status": record["status"],
        "task": json.dumps(record["task"]),
        "method": json.dumps(record["method"]),
        "model": record["model"]["source"] or "kept in the run folder",
        "labels": ", ".join(map(str, record["labels"])),
        "rows": ", ".join(
            f"{n:,} {split}" for split, n in record["data"]["rows"].items()
        ),
        "trainable": f"{record['cost']['trainable']:,} of {record['cost']['total']:,}",
        "best epoch": str(record.get("best_epoch", "")),
        "tfft": record["versions"]["tfft"],
    }
    tables = [ReportTable(str(folder), ("", ""), tuple(facts.items()))]
    scores = record["metrics"]
    if scores:
        names = tuple(next(iter(scores.values())))
        rows = tuple(
            (split, *(f"{one[name]:.4f}" for name in names))
            for split, one in scores.items()
        )
        tables.append(ReportTable("scores", ("", *names), rows))
    if (folder / METRICS).is_file():
        tables.append(_epochs(folder / METRICS))
    return Inspection(tuple(tables))


def _epochs(path: Path) -> ReportTable:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    names = tuple(lines[0]) if lines else ("epoch",)
    rows = tuple(tuple(f"{line.get(name, 0):.5g}" for name in names) for line in lines)
    return ReportTable("epochs", names, rows)


def inspect_model(model: Any) -> Inspection:
    """Returns the places of a model that adapters can target.

    Raises:
        MissingInputError: When the model does not exist.
    """
    from tfft.fitting.cost import count
    from tfft.models.pretrained import load_pretrained

    loaded = load_pretrained(model)
    backbone, longest = loaded.backbone, loaded.max_length
    notes = [*loaded.notes, *(loaded.generation.notes if loaded.generation else ())]
    facts = {
        "architecture": loaded.architecture.name,
        "layers": f"{backbone.num_layers}",
        "hidden size": f"{backbone.hidden_dim:,}",
        "vocabulary": f"{backbone.token_embedding.input_dim:,}",
        "longest input": f"{longest:,} tokens" if longest else "not said by the model",
        "parameters": f"{count(backbone.weights):,}",
        **{f"note {i + 1}": note for i, note in enumerate(notes)},
    }
    places = loaded.architecture.linear_places(1)
    rows = tuple(
        (p.name.replace(".0.", ".N."), p.theirs.replace(".0.", ".N.")) for p in places
    )
    return Inspection(
        (
            ReportTable(str(model), ("", ""), tuple(facts.items())),
            ReportTable("target names, for N from 0", ("tfft", "PEFT"), rows),
        )
    )
