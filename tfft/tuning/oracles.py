"""KerasTuner's oracles by name or object, with state files that survive a crash."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import TrialStatus

from tfft.core.errors import ConfigError, DataError, nearest, one_of, shorten
from tfft.core.files import write_atomically, write_json
from tfft.core.seeds import derive
from tfft.core.signals import uninterrupted

_TABLE = {
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
    "grid": keras_tuner.oracles.GridSearchOracle,
}
_OURS = (
    "self", "objective", "max_trials", "seed", "hyperparameters", "max_epochs",
    "allow_new_entries", "tune_new_entries", "max_retries_per_trial",
    "max_consecutive_failed_trials",
)  # fmt: skip
SCORE = "score"


class Careful:
    """Mixed into an oracle: what it writes is there whole, and signals wait for it."""

    def create_trial(self, tuner_id: str) -> Any:
        """Returns the next trial; at the end, workers wait for those of the others."""
        with uninterrupted():
            trial = super().create_trial(tuner_id)
            if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
                # Should a worker go, another one has to be there for its trial.
                trial.status = TrialStatus.IDLE
                self.tuner_ids.add(tuner_id)
            return trial

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Any:
        """Takes the score of a trial."""
        with uninterrupted():
            return super().update_trial(trial_id, metrics, step=step)

    def end_trial(self, trial: Any) -> None:
        """Ends a trial."""
        with uninterrupted(), contextlib.redirect_stdout(io.StringIO()):
            super().end_trial(trial)

    def save(self) -> None:
        """Writes the state, which KerasTuner would truncate first."""
        write_json(Path(self._project_dir) / "oracle.json", self.get_state())

    def _save_trial(self, trial: Any) -> None:
        path = Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
        write_atomically(path, lambda target: trial.save(str(target)))

    def reload(self) -> None:
        """Reads the state; a trial that it does not know yet is begun anew."""
        for path in sorted(Path(self._project_dir).rglob("*.json")):
            try:
                json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DataError(
                    "a file of the search is damaged",
                    where=str(path),
                    expected="the JSON that KerasTuner wrote",
                    fix="put it back, or begin anew with overwrite",
                ) from error
        super().reload()
        self.trials = {name: self.trials[name] for name in self.start_order}


class CarefulBayesian(Careful):
    """The same; draws depend on the trial, so that a resumed search makes them too."""

    def populate_space(self, trial_id: str) -> Any:
        """Returns the values of a trial."""
        from sklearn.exceptions import ConvergenceWarning

        self._random_state = np.random.RandomState(derive(self.seed, trial_id))
        with warnings.catch_warnings():
            # A length scale at its bound is what a few trials look like.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().populate_space(trial_id)


def make_oracle(
    search: Any,
    space: Any,
    *,
    max_trials: int | None,
    epochs: int | None,
    higher_is_better: bool,
    seed: int,
) -> Any:
    """Returns the oracle of a search.

    Args:
        search: `random`, `bayesian`, `hyperband` or `grid`; a mapping of `name` and
            options of the KerasTuner class; or an oracle or tuner of KerasTuner.
        space: KerasTuner's `HyperParameters`.
        max_trials: How many trials at most; None for 20, or for the oracle's own.
        epochs: Of a whole training, for Hyperband.
        higher_is_better: The direction of the score.
        seed: For its draws.

    Raises:
        ConfigError: For another search or option.
    """
    objective = keras_tuner.Objective(SCORE, "max" if higher_is_better else "min")
    if not isinstance(search, str | Mapping):
        return _given(search, space, objective, max_trials)
    options = {"name": search} if isinstance(search, str) else dict(search)
    name = options.pop("name", None)
    if name not in _TABLE:
        raise ConfigError(
            f"unknown search {shorten(name)}",
            expected=f"{one_of(_TABLE)}; or in Python an oracle of KerasTuner",
            fix=nearest(str(name), _TABLE) or "choose one of them",
        )
    cls = _TABLE[name]
    allowed = [n for n in inspect.signature(cls.__init__).parameters if n not in _OURS]
    for option in options:
        if option not in allowed:
            raise ConfigError(
                f"unknown option {option} of search {name}",
                expected=one_of(allowed) if allowed else "no options",
                fix=nearest(option, allowed) or "leave it out",
            )
    length = _length(cls, name, max_trials, epochs)
    oracle = cls(
        objective=objective,
        hyperparameters=space,
        # KerasTuner takes 0 for no seed at all.
        seed=derive(seed, "search") + 1,
        max_retries_per_trial=1,
        max_consecutive_failed_trials=10**6,
        **length,
        **options,
    )
    return _careful(oracle)


def _length(
    cls: type, name: str, max_trials: int | None, epochs: int | None
) -> dict[str, int]:
    """Returns what decides how long a search is."""
    if "max_trials" in inspect.signature(cls.__init__).parameters:
        return {"max_trials": max_trials or 20}
    for option, value, wanted in (
        ("max_trials", max_trials, False),
        ("epochs", epochs, True),
    ):
        if (value is not None) != wanted:
            raise ConfigError(
                f"{name} {'without' if wanted else 'with'} {option}",
                where="tune",
                expected="epochs, from which it decides the number of trials",
                fix=f"{'say' if wanted else 'leave out'} {option}",
            )
    return {"max_epochs": epochs}


def _given(given: Any, space: Any, objective: Any, max_trials: int | None) -> Any:
    oracle = getattr(given, "oracle", given)
    if not isinstance(oracle, keras_tuner.Oracle):
        raise ConfigError(
            f"search {shorten(given)} is of type {type(given).__name__}",
            expected=f"{one_of(_TABLE)}; or an oracle or tuner of KerasTuner",
            fix='say for example search="random"',
        )
    if max_trials is not None:
        raise ConfigError(
            f"max_trials={max_trials} beside a search that decides that",
            fix="leave max_trials out",
        )
    oracle.objective, oracle.max_retries_per_trial = objective, 1
    oracle.max_consecutive_failed_trials = 10**6
    oracle.update_space(space)
    return _careful(oracle)


def _careful(oracle: Any) -> Any:
    bayesian = isinstance(oracle, keras_tuner.oracles.BayesianOptimizationOracle)
    mixed = CarefulBayesian if bayesian else Careful
    cls = type(oracle)
    oracle.__class__ = type(cls.__name__, (mixed, cls), {})
    oracle.verbose = 0
    return oracle
