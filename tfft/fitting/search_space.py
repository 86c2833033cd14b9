"""The search space of `tune`: which options can be searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfft.core.config import field_types
from tfft.core.errors import ConfigError, one_of, shorten
from tfft.fitting.config import FinetuneConfig
from tfft.methods.method import METHODS, Method
from tfft.tasks.task import Task
from tfft.tuning.distributions import Choice, read_distribution
from tfft.tuning.space import Space, read_space

# They belong to the folder or the machine, or change what scores are computed on.
_NOT_SEARCHED = (
    "output_dir", "overwrite", "resume", "verbose", "strategy", "callbacks", "seed",
    "data", "validation", "test", "on_bad_rows", "tokenizer", "log_every", "profile",
    "projector", "save_every", "keep_last", "keep_best", "cache_frozen",
)  # fmt: skip


def searched_space(given: Any, task: Task, method: Method) -> Space:
    """Returns the search space of `tune`, with its names resolved.

    Args:
        given: Distributions by option name.
        task: The task.
        method: The method of the options outside the space.

    Raises:
        ConfigError: For an unknown option, or one that cannot be searched.
    """
    names = [method.name]
    if isinstance(given, Mapping):
        for name in _NOT_SEARCHED:
            if name in given:
                raise ConfigError(
                    f"{name} cannot be searched",
                    where="space",
                    expected="options that change a training on the same rows",
                    fix=f"give {name} as an option of tune",
                )
        if "method" in given:
            names = _methods(read_distribution(given["method"], "space.method"))
    methods = {one: list(field_types(METHODS.get(one))) for one in names}
    return read_space(
        given, list(field_types(FinetuneConfig)), methods, list(field_types(type(task)))
    )


def _methods(searched: Any) -> list[str]:
    names = list(searched.values) if isinstance(searched, Choice) else [searched]
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"method is {shorten(names)}",
            where="space",
            expected=f"names: {one_of(METHODS.names())}",
            fix="give options of a method their own entries in the space",
        )
    return names
