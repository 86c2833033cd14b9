"""Writes the generated tables of the docs: names, options, defaults and metrics.

A table is between `<!-- table: NAME -->` and `<!-- end of table -->`. Whatever is
written around it stays. Run it after a change of an option, a docstring or a registry.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tfft.core.config import aliases_of, parameters  # noqa: E402 (needs the path above)
from tfft.core.docstrings import descriptions  # noqa: E402
from tfft.evaluation import text_scores  # noqa: E402
from tfft.evaluation.metrics import Metric  # noqa: E402
from tfft.evaluation.report import REPORTS  # noqa: E402
from tfft.fitting.config import FinetuneConfig  # noqa: E402
from tfft.fitting.series_config import (  # noqa: E402
    CrossValidateConfig,
    LearningCurveConfig,
    RepeatConfig,
)
from tfft.generation.sampling import Sampling  # noqa: E402
from tfft.methods.method import METHODS  # noqa: E402
from tfft.models.architecture import ARCHITECTURES  # noqa: E402
from tfft.serving.server.config import ServeConfig  # noqa: E402
from tfft.tasks.task import TASKS  # noqa: E402
from tfft.tuning.config import TuneConfig  # noqa: E402

PAGES = ("options.md", "metrics.md")
_BLOCK = re.compile(
    r"(<!-- table: ([\w.]+) -->\n).*?(\n<!-- end of table -->)", re.DOTALL
)
_CLASSES = {
    "finetune": FinetuneConfig,
    "tune": TuneConfig,
    "repeat": RepeatConfig,
    "cross_validate": CrossValidateConfig,
    "learning_curve": LearningCurveConfig,
    "generate": Sampling,
    "serve": ServeConfig,
}


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    cells = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def _code(text: object) -> str:
    return f"`{text}`".replace("|", "\\|")


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def options_of(cls: type) -> str:
    """Returns the table of the options of a configuration class."""
    described, aliases = descriptions(cls), aliases_of(cls)
    rows = []
    for one in parameters(cls):
        others = [_code(name) for name, ours in aliases.items() if ours == one.name]
        text = _text(described[one.name])
        if others:
            text += f" Also {', '.join(others)}."
        rows.append((_code(one.name), _default(one.default), text))
    return _table(("option", "default", ""), rows) if rows else "No options."


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    return _code(repr(value))


def _first_line(thing: Any) -> str:
    return _text(inspect.getdoc(thing).splitlines()[0])


def tasks() -> str:
    """Returns the table of tasks with their losses and reports."""
    rows = [
        (
            _code(name),
            _code(task.__name__),
            _first_line(task),
            _first_line(task.loss).removeprefix("Returns "),
            _code(REPORTS.get(task.evaluation).monitor[0]),
        )
        for name, task in ((name, TASKS.get(name)) for name in TASKS.names())
    ]
    header = ("task", "class", "", "the loss returns", "the best epoch has the best")
    return _table(header, rows)


def methods() -> str:
    """Returns the table of methods with what they can do."""
    rows = [
        (
            _code(name),
            _code(method.__name__),
            _first_line(method),
            "yes" if method.mergeable else "no",
            f"{method.learning_rate:g}",
        )
        for name, method in ((name, METHODS.get(name)) for name in METHODS.names())
    ]
    header = ("method", "class", "", "can be merged", "default learning rate")
    return _table(header, rows)


def architectures() -> str:
    """Returns the table of architectures."""
    rows = [
        (
            _code(name),
            _code(one.backbone_class),
            _first_line(one),
            ", ".join(map(_code, one.default_targets)),
        )
        for name, one in ((n, ARCHITECTURES.get(n)) for n in ARCHITECTURES.names())
    ]
    header = ("`model_type`", "KerasHub class", "", "LoRA's default targets")
    return _table(header, rows)


def _metrics(described: Iterable[Metric]) -> str:
    rows = [
        (
            _code(one.name),
            "higher" if one.higher_is_better else "lower",
            _text(one.formula),
            one.source,
        )
        for one in described
    ]
    return _table(("metric", "better when", "what it is", "computed by"), rows)


def blocks() -> dict[str, Callable[[], str]]:
    """Returns what writes each table, by its name."""
    found: dict[str, Callable[[], str]] = {
        "tasks": tasks,
        "methods": methods,
        "architectures": architectures,
        "metrics.text": lambda: _metrics(text_scores.DESCRIBED),
    }
    for name in REPORTS.names():
        described = REPORTS.get(name).described
        found[f"metrics.{name}"] = lambda described=described: _metrics(described)
    classes = {
        **_CLASSES,
        **{f"task.{name}": TASKS.get(name) for name in TASKS.names()},
        **{f"method.{name}": METHODS.get(name) for name in METHODS.names()},
    }
    for name, cls in classes.items():
        found[f"options.{name}"] = lambda cls=cls: options_of(cls)
    return found


def filled(page: str) -> str:
    """Returns a page with its tables as they should be.

    Raises:
        KeyError: For a table that nothing writes.
    """
    known = blocks()
    return _BLOCK.sub(lambda one: f"{one[1]}\n{known[one[2]]()}\n{one[3]}", page)


def names_in(page: str) -> set[str]:
    """Returns the names of the tables of a page."""
    return {one[1] for one in _BLOCK.findall(page)}


if __name__ == "__main__":
    for name in PAGES:
        path = ROOT / "docs" / name
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
