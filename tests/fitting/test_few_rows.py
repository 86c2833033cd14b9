"""A handful of rows: enough steps, no empty splits, and what is too small is said."""

from __future__ import annotations

import json

import pytest

from tfft.fitting.config import FinetuneConfig
from tfft.fitting.defaults import with_defaults
from tfft.fitting.prepare import prepare
from tfft.tasks.text_classification import TextClassification


def filled(steps, validation_rows, **options):
    config = FinetuneConfig(model="m", data="d", output_dir="o", **options)
    config, notes = with_defaults(config, steps, validation_rows)
    return config.epochs, config.early_stopping, notes


@pytest.mark.parametrize(
    ("steps", "epochs"),
    [(1, 50), (2, 50), (3, 34), (20, 5), (33, 4), (34, 3), (900, 3)],
)
def test_few_rows_have_more_epochs(steps, epochs):
    found, _, notes = filled(steps, 100)
    assert found == epochs
    said = [f"few rows: {epochs} epochs of {steps} steps"]
    assert notes == (said if epochs > 3 else [])


@pytest.mark.parametrize(
    ("rows", "patience", "said"), [(0, 0, False), (19, 0, True), (20, 2, False)]
)
def test_few_validation_rows_stop_nothing(rows, patience, said):
    _, found, notes = filled(900, rows)
    assert found == patience
    assert any("no early stopping" in note for note in notes) == said


def test_what_is_given_stands():
    assert filled(1, 5, epochs=2, early_stopping=7) == (2, 7, [])


def split(count, **shares):
    rows = [{"text": f"t{i}", "label": i % 2} for i in range(count)]
    given = {"validation": 0.1, "test": 0.1, **shares}
    found = prepare(TextClassification(), rows, on_bad_rows="error", seed=0, **given)
    return {name: len(table) for name, table in found.tables.items()}, found.notes


@pytest.mark.parametrize("per_class", [2, 4, 8, 16, 32, 64])
def test_no_split_is_empty_and_small_ones_are_said(per_class):
    sizes, notes = split(2 * per_class)
    assert sum(sizes.values()) == 2 * per_class
    assert all(sizes.values())
    for name in ("validation", "test"):
        said = [note for note in notes if note.startswith(name)]
        assert len(said) == (sizes.get(name, 0) < 20)
        if name not in sizes:
            assert f"less than one row: there is no {name}" in said[0]


def test_a_training_on_eight_rows_a_class(tune, make_rows):
    rows = make_rows(200)
    few = [[row for row in rows if row["label"] == x][:8] for x in ("neg", "pos")]
    run = tune(
        data=[*few[0], *few[1]],
        validation=0,
        test=make_rows(60, seed=5),
        method="full",
        epochs=None,
        learning_rate=1e-2,
    )
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 50
    assert run.metrics["test"]["accuracy"] == 1.0
