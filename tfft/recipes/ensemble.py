"""Combines several runs into one model, by their answers or by their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tfft.core.environment import check_environment
from tfft.core.errors import ConfigError, nearest, one_of
from tfft.data.rows import OnBadRows
from tfft.evaluation.report import REPORTS, Report
from tfft.evaluation.spread import gain
from tfft.evaluation.tables import ReportTable
from tfft.fitting.series import check_metric
from tfft.methods.adapter import Adapter
from tfft.methods.method import METHODS
from tfft.runs.build import Built
from tfft.runs.folder import read_record, read_trained_rows
from tfft.runs.members import MemberRuns
from tfft.runs.predictor import Predictor
from tfft.runs.run import FineTuned, Run
from tfft.runs.soup import make_soup
from tfft.tasks.joining import JOININGS, join

_SOUP = "soup"
_WAYS = (*JOININGS, _SOUP)


@dataclass(frozen=True)
class EnsembleScores:
    """The scores of an ensemble and of its members, on the same rows.

    Attributes:
        metric: The metric that decides which member is best.
        members: The metrics of each member by name.
        ensemble: The metrics of the ensemble.
        how: `average`, `vote` or `soup`.
    """

    metric: str
    members: Mapping[str, Mapping[str, float]]
    ensemble: Mapping[str, float]
    how: str

    @property
    def best(self) -> str:
        """The name of the best member."""
        scores = {name: one[self.metric] for name, one in self.members.items()}
        return max(scores, key=lambda name: gain(self.metric, 0.0, scores[name]))

    @property
    def gain(self) -> float:
        """By how much the ensemble is better than the best member, below 0 if worse."""
        best = self.members[self.best][self.metric]
        return gain(self.metric, best, self.ensemble[self.metric])

    def table(self) -> ReportTable:
        """Returns the scores of members and ensemble."""
        every = {**self.members, self.how: self.ensemble}
        rows = tuple(
            (name, *(f"{one[metric]:.4f}" for metric in self.ensemble))
            for name, one in every.items()
        )
        return ReportTable("Members and ensemble", ("", *self.ensemble), rows)

    def __str__(self) -> str:
        """Returns the gain or loss in a sentence."""
        score, best = self.ensemble[self.metric], self.members[self.best][self.metric]
        change = "gain" if self.gain >= 0 else "loss"
        return (
            f"{self.how} of {len(self.members)}: {self.metric} {score:.4f}, a {change} "
            f"of {abs(self.gain):.4f} against the best member ({self.best}, {best:.4f})"
        )


class Joined(FineTuned):
    """One model that answers for several runs; it has no folder of its own.

    Args:
        members: The runs.
        how: `average` or `vote`.
        predictor: Answers with the network of all members.
    """

    def __init__(self, members: MemberRuns, how: str, predictor: Predictor) -> None:
        super().__init__(predictor)
        self._members, self._how = members, how

    @property
    def name(self) -> str:
        """The way of combining, and the number of members."""
        return f"{self._how}-of-{len(self._members)}"

    @property
    def record(self) -> dict[str, Any]:
        """The first member's record, with no scores and with the names of all."""
        folders = self._members.folders
        first = read_record(folders[0])
        note = f"{self.name} runs: {', '.join(self._members.names)}"
        return {**first, "metrics": {}, "notes": [*first["notes"], note]}

    @property
    def trained_rows(self) -> np.ndarray:
        """The fingerprints of the rows that any member was trained on."""
        return np.concatenate([*map(read_trained_rows, self._members.folders)])


class Ensemble:
    """Several runs as one model, as returned by `ensemble`.

    Args:
        run: The model that answers for all members; for a soup, an ordinary run.
        members: The runs.
        how: `average`, `vote` or `soup`.
    """

    def __init__(self, run: FineTuned, members: MemberRuns, how: str) -> None:
        self.run, self.members, self.how = run, members, how

    def predict(self, inputs: Any) -> list[dict[str, Any]]:
        """Returns an answer for each input, like `Run.predict`."""
        return self.run.predict(inputs)

    def evaluate(self, data: Any, on_bad_rows: OnBadRows = "error") -> Report:
        """Returns the report of labeled rows, like `Run.evaluate`."""
        return self.run.evaluate(data, on_bad_rows)

    def compare(
        self, data: Any, metric: str | None = None, on_bad_rows: OnBadRows = "error"
    ) -> EnsembleScores:
        """Returns the scores of the ensemble and of each member.

        Args:
            data: Anything that holds rows; from several splits, the test split. The
                comparison is only meaningful on rows that no member was trained on.
            metric: The metric that decides which member is best. Defaults to the one
                that selects the best epoch.
            on_bad_rows: What to do with unusable rows.

        Raises:
            ConfigError: For an unknown metric.
            DataError: For unusable rows.
        """
        metric = metric or REPORTS.get(self.run.task.evaluation).monitor[0]
        found = self.evaluate(data, on_bad_rows).metrics
        check_metric(metric, found)
        scores = {
            name: self.members[index].evaluate(data, on_bad_rows).metrics
            for index, name in enumerate(self.members.names)
        }
        return EnsembleScores(metric, scores, found, self.how)

    def export(self, directory: str | Path) -> Path:
        """Writes one SavedModel of all members, like `Run.export`.

        It holds the weights of the base model once. A soup costs no more than one run.
        Other ensembles run the layers from the first that differs once per member.
        """
        return self.run.export(directory)


def ensemble(
    members: Sequence[str | Path | Run],
    how: str = "average",
    *,
    data: Any = None,
    metric: str | None = None,
    output_dir: str | Path | None = None,
    rank: int | None = None,
    model: Any = None,
    on_bad_rows: OnBadRows = "error",
    verbose: int = 1,
) -> Ensemble:
    """Combines several runs with the same base model, task and method.

    Args:
        members: The runs or their folders, two or more.
        how: `average` of the probabilities (or of the numbers or logits, for tasks
            without probabilities), `vote` of the labels, or `soup`: the average of the
            weights, which costs no more than one run. Defaults to `average`.
        data: Rows to score ensemble and members on. Defaults to none.
        metric: The metric that decides which member is best on `data`. Defaults to the
            one that selects the best epoch.
        output_dir: Where to write a soup, which is a run of its own.
        rank: Rank to compress a soup of LoRA adapters to; see the docs. Defaults to
            the sum of the ranks, which is exact.
        model: The base model's current location, if it has moved.
        on_bad_rows: What to do with unusable rows.
        verbose: 0 prints nothing. Defaults to 1.

    Raises:
        ConfigError: For members that cannot be combined, and for invalid options.
        MissingInputError: When a run is missing.
        DataError: For unusable rows or files.
    """
    check_environment()
    _check_options(how, output_dir, rank)
    if data is None:
        _refuse_without_data(metric, on_bad_rows)
    runs = MemberRuns([_folder(one) for one in members], model)
    if how == _SOUP:
        made = make_soup(runs, Path(output_dir), rank)
    else:
        made = _joined(runs, how)
    found = Ensemble(made, runs, how)
    if data is not None:
        scores = found.compare(data, metric, on_bad_rows)
        console = Console(quiet=not verbose, highlight=False)
        console.print(scores.table().to_rich())
        console.print(str(scores), markup=False, soft_wrap=True)
    return found


def _folder(member: str | Path | FineTuned) -> str | Path:
    if isinstance(member, Joined):
        raise ConfigError(
            f"{member.name} is an ensemble",
            where="ensemble",
            expected="runs or their folders",
            fix="give its members, or make a soup of them first",
        )
    return member.folder if isinstance(member, Run) else member


def _check_options(how: str, output_dir: Any, rank: int | None) -> None:
    if how not in _WAYS:
        raise ConfigError(
            f"how={how!r}",
            where="ensemble",
            expected=one_of(_WAYS),
            fix=nearest(how, _WAYS) or "choose one of them",
        )
    if (how == _SOUP) != (output_dir is not None):
        raise ConfigError(
            f"how={how!r} {'without' if how == _SOUP else 'with'} output_dir",
            where="ensemble",
            expected="output_dir for a soup, which is a run of its own, and only then",
            fix="give output_dir" if how == _SOUP else "leave it out; export keeps it",
        )
    if rank is not None and (how != _SOUP or rank < 1):
        raise ConfigError(
            f"rank={rank} with how={how!r}",
            where="ensemble",
            expected="1 or more, for a soup",
            fix="leave rank out",
        )


def _refuse_without_data(metric: str | None, on_bad_rows: OnBadRows) -> None:
    for name, value, default in (
        ("metric", metric, None),
        ("on_bad_rows", on_bad_rows, "error"),
    ):
        if value != default:
            raise ConfigError(
                f"{name}={value!r} without data",
                where="ensemble",
                expected=f"data to score, which {name} is about",
                fix=f"give data, or leave {name} out",
            )


def _joined(runs: MemberRuns, how: str) -> Joined:
    """Returns a model with a network that answers for all members."""
    from tfft.tasks.networks.weight_sets import joined_network

    first = runs[0]
    network = joined_network(
        first.built.network,
        runs.variables,
        runs.values,
        lambda outputs: join(runs.task, outputs, how),
    )
    pretrained = first.built.pretrained
    # Nothing is to be merged: each member has updates of its own.
    none = Adapter(
        METHODS.resolve("head"), pretrained.backbone, pretrained.architecture
    )
    built = Built(network, none, pretrained)
    return Joined(runs, how, Predictor(built, runs.task, first.labels))
