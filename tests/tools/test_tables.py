"""The docs' generated tables: as the code is, and with every registered name."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import make_tables as tables
import pytest

from tfft.evaluation import text_scores
from tfft.evaluation.report import REPORTS
from tfft.fitting.config import FinetuneConfig
from tfft.methods.method import METHODS
from tfft.models.architecture import ARCHITECTURES
from tfft.tasks.task import TASKS

DOCS = Path(__file__).parents[2] / "docs"


def cells(page):
    """Returns the first cell of each row of a page's tables, without its backticks."""
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    return [line.split("|")[1].strip(" `") for line in lines]


@pytest.mark.parametrize("name", tables.PAGES)
def test_the_tables_are_as_the_code_is(name):
    page = (DOCS / name).read_text(encoding="utf-8")
    assert tables.filled(page) == page, "run tools/make_tables.py"


def test_every_table_stands_in_a_page():
    found = [tables.names_in((DOCS / name).read_text()) for name in tables.PAGES]
    assert set().union(*found) == set(tables.blocks())


@pytest.mark.parametrize("registry", [TASKS, METHODS, ARCHITECTURES])
def test_every_registered_name_has_a_row(registry):
    found = cells((DOCS / "options.md").read_text())
    assert set(registry.names()) <= set(found)


def test_every_task_says_what_its_loss_is_and_which_metric_decides():
    page = (DOCS / "options.md").read_text().splitlines()
    for name in TASKS.names():
        (row,) = [line for line in page if line.startswith(f"| `{name}` |")]
        _, _, _, _, loss, metric, _ = (cell.strip() for cell in row.split("|"))
        assert loss.startswith("the sums of")
        assert metric == f"`{REPORTS.get(TASKS.get(name).evaluation).monitor[0]}`"


def test_every_metric_has_a_row_with_its_direction():
    page = (DOCS / "metrics.md").read_text()
    metrics = [one for name in REPORTS.names() for one in REPORTS.get(name).described]
    wanted = [one.name for one in (*metrics, *text_scores.DESCRIBED)]
    assert sorted(cells(page)) == sorted(wanted)
    assert "| `coverage` | lower |" in page
    assert "| `accuracy` | higher |" in page


@pytest.mark.parametrize(
    ("heading", "cls"),
    [
        ("finetune", FinetuneConfig),
        *((f"the task {name}", TASKS.get(name)) for name in TASKS.names()),
        *((f"the method {name}", METHODS.get(name)) for name in METHODS.names()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_option_stands_with_its_default(heading, cls):
    page = (DOCS / "options.md").read_text()
    section = page.split(f"## Options of {heading}\n")[1].split("\n## ")[0]
    assert set(cells(section)) == {field.name for field in dataclasses.fields(cls)}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            shown = repr(field.default).replace("|", "\\|")
            assert f"| `{field.name}` | `{shown}` | " in section
