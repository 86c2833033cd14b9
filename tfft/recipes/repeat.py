"""Repeats a training with several seeds, to measure the effect of chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.core.config import accepts
from tfft.core.errors import ConfigError
from tfft.core.files import write_json
from tfft.evaluation.spread import Spread, spread_of
from tfft.evaluation.tables import ReportTable
from tfft.fitting.series import Series
from tfft.fitting.series_config import RepeatConfig, split_options
from tfft.fitting.verb_options import RepeatOptions

RESULT = "repeat.json"
_NOUN = "seed"


@dataclass(frozen=True)
class Repeats:
    """The scores of the same training with several seeds.

    Attributes:
        folder: The folder with the runs, `seed-42` and so on.
        metrics: The scores by seed: on the test rows, or on the validation rows if
            there are no test rows.
    """

    folder: Path
    metrics: Mapping[int, Mapping[str, float]]

    @property
    def runs(self) -> list[Path]:
        """The run folders, in the order of the seeds."""
        return [self.folder / f"{_NOUN}-{seed}" for seed in self.metrics]

    @property
    def spread(self) -> dict[str, Spread]:
        """Mean, standard deviation and range of each metric over the seeds."""
        return spread_of(list(self.metrics.values()))

    def table(self) -> ReportTable:
        """Returns the scores of each seed, and their spread."""
        spread = self.spread
        rows = [
            (f"seed {seed}", *(f"{one[name]:.4f}" for name in spread))
            for seed, one in self.metrics.items()
        ]
        rows.append(("mean ± std", *(str(one) for one in spread.values())))
        ranges = (f"{one.low:.4f} to {one.high:.4f}" for one in spread.values())
        rows.append(("range", *ranges))
        title = f"{len(self.metrics)} seeds on the same rows"
        return ReportTable(title, ("", *spread), tuple(rows))


@accepts(RepeatOptions)
def repeat(**options: Any) -> Repeats:
    """Trains several times on the same rows, each time with another seed.

    The seed determines new weights, row order and dropout. The training, validation
    and test rows stay the same: they are split once, with `seed`.

    Args:
        **options: The fields of `RepeatConfig` and `FinetuneConfig`.

    Raises:
        ConfigError: For invalid options, and without rows to score on.
        TfftError: Everything else that `finetune` raises.
    """
    config, rest = split_options(RepeatConfig, options)
    series = Series(rest, RESULT, _NOUN)
    seeds = config.listed(series.config.seed)
    with series.opened():
        split, scored_on = rows_to_score(series)
        series.say(f"seeds: {', '.join(map(str, seeds))}, scored on {split}")
        series.make_room()
        metrics = {}
        for seed in seeds:
            run = series.train(seed, scored_on, seed=seed)
            metrics[seed] = run.metrics[split]
        write_json(
            series.result,
            {
                "metrics": {str(seed): one for seed, one in metrics.items()},
                "config": series.options(),
            },
        )
    found = Repeats(series.folder, metrics)
    series.show(found.table())
    return found


def rows_to_score(series: Series) -> tuple[str, Any]:
    """Returns the split that trainings are compared on, and the test rows if any.

    Raises:
        ConfigError: When there are neither test nor validation rows.
    """
    tables = series.session.tables
    if "test" in tables:
        return "test", tables["test"]
    if "validation" in tables:
        return "validation", None
    raise ConfigError(
        "no rows to score on",
        expected="test or validation rows",
        fix="give test=0.1, or validation=0.1",
    )
