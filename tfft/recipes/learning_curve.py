"""Learning curves: the score against the number of training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfft.core.config import accepts
from tfft.core.errors import ConfigError
from tfft.core.files import write_atomically, write_json, write_text
from tfft.data.splits import stratified_part
from tfft.evaluation.evidence import intervals
from tfft.evaluation.pictures import draw_learning_curve
from tfft.evaluation.spread import Change, change_between
from tfft.evaluation.tables import ReportTable
from tfft.fitting.series import Series, check_metric
from tfft.fitting.series_config import LearningCurveConfig, split_options
from tfft.fitting.verb_options import LearningCurveOptions
from tfft.recipes.repeat import rows_to_score

RESULT, TABLE, PICTURE = (
    "learning_curve.json",
    "learning_curve.md",
    "learning_curve.png",
)


@dataclass(frozen=True)
class LearningCurve:
    """The scores of trainings on growing subsets of the same rows.

    Attributes:
        folder: The folder with the runs (`rows-500` and so on), the plot and the table.
        metric: The metric that is plotted and judged by.
        rows: The numbers of training rows.
        metrics: All scores for each size, on the same rows.
        intervals: The 95 % bootstrap interval of `metric` for each size.
        last: The change of `metric` between the last two sizes.
    """

    folder: Path
    metric: str
    rows: tuple[int, ...]
    metrics: tuple[Mapping[str, float], ...]
    intervals: tuple[tuple[float, float], ...]
    last: Change

    @property
    def verdict(self) -> str:
        """Whether more data is likely to help, in a sentence."""
        step = f"from {self.rows[-2]:,} to {self.rows[-1]:,} rows {self.metric}"
        change, low, high = self.last.gain, self.last.low, self.last.high
        seen = f"(95 % interval {low:+.4f} to {high:+.4f})"
        if low > 0:
            better = f"{step} got better by {change:.4f} {seen}"
            return f"More data is likely to help: {better}."
        if high < 0:
            return f"More data did not help: {step} got worse by {-change:.4f} {seen}."
        return (
            f"More data of this kind may not help: {step} changed by {change:+.4f} "
            f"{seen}, which chance explains."
        )

    def table(self) -> ReportTable:
        """Returns the scores for each number of rows."""
        names = tuple(self.metrics[0])
        rows = tuple(
            (
                f"{count:,}",
                *(f"{one[name]:.4f}" for name in names),
                f"{a:.4f} to {b:.4f}",
            )
            for count, one, (a, b) in zip(
                self.rows, self.metrics, self.intervals, strict=True
            )
        )
        header = ("training rows", *names, f"95 % of {self.metric}")
        return ReportTable("Learning curve", header, rows)


@accepts(LearningCurveOptions)
def learning_curve(**options: Any) -> LearningCurve:
    """Trains on growing subsets of the training rows, to see whether more would help.

    Each subset contains the smaller ones and keeps the class proportions. All trainings
    are validated and scored on the same rows.

    Args:
        **options: The fields of `LearningCurveConfig` and `FinetuneConfig`.

    Returns:
        The curve. The folder holds a run for each size, and `learning_curve.png`,
        `.md` and `.json`.

    Raises:
        ConfigError: For invalid options, and without rows to score on.
        TfftError: Everything else that `finetune` raises.
    """
    config, rest = split_options(LearningCurveConfig, options)
    series = Series(rest, RESULT, "rows")
    with series.opened():
        parts = _parts(series, config.sizes)
        split, scored_on = rows_to_score(series)
        tables = series.session.tables
        metric = config.metric or series.session.monitor[0]
        series.make_room()
        evidence, metrics = [], []
        for part in parts:
            held = tables.get("validation")
            run = series.train(len(part), scored_on, train=part, validation=held)
            check_metric(metric, run.metrics[split])
            metrics.append(run.metrics[split])
            evidence.append(series.scored(run, tables[split]).evidence)
        found = LearningCurve(
            series.folder,
            metric,
            tuple(map(len, parts)),
            tuple(metrics),
            tuple(intervals(one)[metric] for one in evidence),
            change_between(evidence[-2], evidence[-1], metric),
        )
        _write(found, series)
    series.show(found.table())
    series.say(found.verdict)
    return found


def _parts(series: Series, sizes: Sequence[float]) -> list[list[int]]:
    """Returns the rows of each training; each subset is contained in the next.

    Raises:
        ConfigError: For more rows than the data has, or too few for a training.
    """
    table, task = series.session.tables["train"], series.task
    counts = [
        round(size * len(table)) if sizes[-1] <= 1 else int(size) for size in sizes
    ]
    if counts[-1] > len(table) or counts[0] < 2 or len(set(counts)) < len(counts):
        raise ConfigError(
            f"sizes are {counts} of {len(table):,} training rows",
            expected="rising numbers of rows, from 2 to all",
            fix="change sizes",
        )
    strata, keys = task.strata(table), task.keys(table)
    parts, rows = [], list(range(len(table)))
    for count in reversed(counts):
        chosen = [strata[row] for row in rows], [keys[row] for row in rows]
        first, _ = stratified_part(*chosen, 1 - count / len(rows), series.config.seed)
        rows = [rows[index] for index in first]
        task.learn_labels(table.select(rows))
        parts.append(rows)
    return parts[::-1]


def _write(found: LearningCurve, series: Series) -> None:
    picture = draw_learning_curve(
        found.rows,
        [one[found.metric] for one in found.metrics],
        found.intervals,
        found.metric,
    )
    write_atomically(series.folder / PICTURE, lambda path: path.write_bytes(picture))
    text = f"{found.table().to_markdown()}\n\n{found.verdict}\n"
    write_text(series.folder / TABLE, text)
    values = {name: value for name, value in asdict(found).items() if name != "folder"}
    verdict = {"verdict": found.verdict, "config": series.options()}
    write_json(series.result, {**values, **verdict})
