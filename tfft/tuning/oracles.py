"""Makes the oracle of a search: KerasTuner's, with tfft's mixins."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras_tuner

from tfft.core.errors import ConfigError, nearest, one_of, shorten
from tfft.core.seeds import derive
from tfft.tuning.bayesian import BayesianMixin
from tfft.tuning.grid import GridMixin
from tfft.tuning.hyperband import HyperbandMixin
from tfft.tuning.oracle_mixin import SCORE, ForeignOracleMixin, OracleMixin

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
_MIXED = {
    "random": OracleMixin,
    "bayesian": BayesianMixin,
    "hyperband": HyperbandMixin,
    "grid": GridMixin,
}
_POINTS = "points"  # an option of a grid that KerasTuner does not have


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
            options of the KerasTuner class, for a grid also `points`; or an oracle or
            tuner of KerasTuner.
        space: KerasTuner's `HyperParameters`.
        max_trials: The largest number of trials. None means the whole grid, the
            oracle's own number, or 20.
        epochs: Epochs of a full training, for Hyperband.
        higher_is_better: The direction of the objective.
        seed: For the random draws of the oracle.

    Raises:
        ConfigError: For an unknown search or option.
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
    _check_options(cls, name, options)
    points = _points(options)
    length = _length(name, space, max_trials, epochs)
    try:
        oracle = cls(
            objective=objective,
            hyperparameters=space,
            # KerasTuner treats 0 as no seed.
            seed=derive(seed, "search") + 1,
            max_retries_per_trial=1,
            max_consecutive_failed_trials=10**6,
            **length,
            **options,
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"KerasTuner refuses {shorten(options)}: {error}", where=f"search {name}"
        ) from error
    return _with_mixin(oracle, points)


def _check_options(cls: type, name: str, options: Mapping[str, Any]) -> None:
    allowed = [n for n in inspect.signature(cls.__init__).parameters if n not in _OURS]
    if issubclass(cls, keras_tuner.oracles.GridSearchOracle):
        allowed.append(_POINTS)
    for option in options:
        if option not in allowed:
            raise ConfigError(
                f"unknown option {option} of search {name}",
                expected=one_of(allowed) if allowed else "no options",
                fix=nearest(option, allowed) or "leave it out",
            )


def _points(options: dict[str, Any]) -> int:
    """Removes the option `points` from a grid's options, and returns it."""
    points = options.pop(_POINTS, OracleMixin.points)
    if type(points) is not int or points < 2:
        raise ConfigError(
            f"{_POINTS}={shorten(points)}",
            where="search grid",
            expected="2 or more values for each range of numbers",
            fix="leave it out for 5",
        )
    return points


def _length(
    name: str, space: Any, max_trials: int | None, epochs: int | None
) -> dict[str, int | None]:
    """Returns the options that decide the length of a search."""
    if name == "grid":
        return {"max_trials": max_trials}
    if name != "hyperband":
        return {"max_trials": max_trials or 20}
    for option, value, wanted in (
        ("max_trials", max_trials, False),
        ("epochs", epochs, True),
    ):
        if (value is not None) != wanted:
            raise ConfigError(
                f"{name} {'without' if wanted else 'with'} {option}",
                where="tune",
                expected="epochs, which decide its number of trials",
                fix=f"{'give' if wanted else 'leave out'} {option}",
            )
    if any(entry.name == "epochs" for entry in space.space):
        raise ConfigError(
            "epochs is in the space of hyperband",
            where="space",
            expected="epochs outside the space; hyperband divides them up",
            fix="remove it from the space, or choose another search",
        )
    return {"max_epochs": epochs}


def _given(given: Any, space: Any, objective: Any, max_trials: int | None) -> Any:
    oracle = getattr(given, "oracle", given)
    if not isinstance(oracle, keras_tuner.Oracle):
        raise ConfigError(
            f"search {shorten(given)} is of type {type(given).__name__}",
            expected=f"{one_of(_TABLE)}; or an oracle or tuner of KerasTuner",
            fix='for example search="random"',
        )
    if max_trials is not None:
        raise ConfigError(
            f"max_trials={max_trials} with an oracle that decides it",
            fix="leave max_trials out",
        )
    oracle.objective, oracle.max_retries_per_trial = objective, 1
    oracle.max_consecutive_failed_trials = 10**6
    oracle.update_space(space)
    return _with_mixin(oracle, OracleMixin.points)


def _with_mixin(oracle: Any, points: int) -> Any:
    cls = type(oracle)
    kinds = (_MIXED[name] for name, kind in _TABLE.items() if issubclass(cls, kind))
    mixed = next(kinds, ForeignOracleMixin)
    oracle.__class__ = type(cls.__name__, (mixed, cls), {"points": points})
    oracle.verbose = 0
    if mixed is GridMixin and oracle.max_trials is None:
        oracle.max_trials = oracle.size
    return oracle


def length_note(oracle: Any) -> str:
    """Returns a note on the number of trials when it is not `max_trials`.

    Args:
        oracle: An oracle from `make_oracle`.
    """
    size, wanted = oracle.size, oracle.wanted
    if isinstance(oracle, GridMixin):
        if wanted < size:
            return f"note: {wanted:,} of {size:,} combinations, because of max_trials"
        return f"grid: {size:,} combinations"
    if size is not None and size < wanted:
        return (
            f"note: the space has {size:,} combinations, and none is trained twice; "
            f"the search would have tried {wanted:,}"
        )
    return ""
