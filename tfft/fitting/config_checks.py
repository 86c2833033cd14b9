"""Checks of options that must suit each other, or suit several trainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from tfft.core.config import require
from tfft.core.errors import ConfigError, nearest, one_of, shorten
from tfft.training.names import OPTIMIZERS, SCHEDULES

# Why options of `finetune` do not work where several trainings share a backbone.
_NO_RESUME = "several trainings cannot resume, so none of them writes checkpoints"
_SERIES = {
    "strategy": "several trainings run on one device",
    "save_every": _NO_RESUME,
    "keep_last": _NO_RESUME,
    "keep_best": _NO_RESUME,
}
_TRIALS = {
    "log_every": "trials write no curves of steps",
    "profile": "trials are not profiled",
    "projector": "trials write no points for the projector",
}


def check_optimizing(config: Any) -> None:
    """Raises for invalid options of optimizer and schedule.

    Objects are recognized by their methods: looking at their classes would import
    Keras.

    Raises:
        ConfigError: With the value given and the values allowed.
    """
    _check_kind(config, "optimizer", OPTIMIZERS, "apply_gradients")
    _check_kind(config, "schedule", SCHEDULES, "from_config")
    if not isinstance(config.optimizer, str | Mapping):
        _refuse_with(config, "optimizer", ("learning_rate", "weight_decay"))
    if not isinstance(config.schedule, str):
        rise = ("learning_rate", "warmup", "warmup_steps", "schedule_power")
        _refuse_with(config, "schedule", rise)
    if config.warmup_steps is not None:
        require(config.warmup_steps >= 0, config, "warmup_steps", "0 or more")
        _refuse_with(config, "warmup_steps", ("warmup",))
    require(config.schedule_power > 0, config, "schedule_power", "above 0")
    require(0 < config.layer_decay <= 1, config, "layer_decay", "above 0, at most 1")
    require(0 <= config.ema < 1, config, "ema", "from 0 up to but not 1")


def check_watching(config: Any) -> None:
    """Raises for invalid options of logs and callbacks.

    Raises:
        ConfigError: With the value given and the values allowed.
    """
    for callback in config.callbacks:
        if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
            raise ConfigError(
                f"callback {shorten(callback)}",
                where="FinetuneConfig.callbacks",
                expected="objects of keras.callbacks.Callback",
                fix="give callbacks in a list",
            )
    require(config.log_every >= 1, config, "log_every", "1 or more")
    require(config.projector >= 0, config, "projector", "0 or more")
    steps = config.profile
    pair = not steps or (len(steps) == 2 and 1 <= steps[0] <= steps[1])
    require(pair, config, "profile", "the first and the last step, counted from 1")


def check_several(config: Any, *, with_folders: bool) -> None:
    """Raises for options that make no sense for one of several trainings.

    Args:
        config: The options.
        with_folders: Whether each training writes a run folder. The trials of a search
            do not.

    Raises:
        ConfigError: Naming the option, and why it does not work here.
    """
    reasons = _SERIES if with_folders else {**_SERIES, **_TRIALS}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in reasons and value != field.default:
            raise ConfigError(
                f"{field.name}={shorten(value)}: {reasons[field.name]}",
                where=type(config).__name__,
                expected="options that each of several trainings can use",
                fix=f"leave {field.name} out here, and give it to finetune",
            )


def _check_kind(config: Any, field: str, names: tuple[str, ...], ability: str) -> None:
    """Raises for a value that is neither a known name nor a Keras object."""
    value = getattr(config, field)
    if field == "optimizer" and isinstance(value, Mapping):
        value = value.get("name")
    if isinstance(value, str) or isinstance(value, type) or not hasattr(value, ability):
        if value in names:
            return
        raise ConfigError(
            f"unknown {field} {shorten(value)}",
            where=f"{type(config).__name__}.{field}",
            expected=f"{one_of(names)}; or in Python a Keras object",
            fix=nearest(str(value), names) or "choose one of them",
        )


def _refuse_with(config: Any, given: str, others: Iterable[str]) -> None:
    """Raises for options that have no effect because of another one."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name in others:
        value = getattr(config, name)
        if value != defaults[name]:
            raise ConfigError(
                f"{name}={shorten(value)} with {given}="
                f"{shorten(getattr(config, given))}, which already decides it",
                where=type(config).__name__,
                fix=f"leave {name} or {given} out",
            )
