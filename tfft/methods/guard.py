"""Keras' own files cannot hold an adapter, so writing one is an error.

Keras saves a model as the config of its class and the weights by path. KerasHub's
config knows no adapter: the file would not load, or would load without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tfft.compute.layers import spots
from tfft.core.errors import ConfigError
from tfft.methods.inject import intercept, release

_METHOD = "get_config"


def guard(backbone: Any, mergeable: bool) -> Callable[[], None]:
    """Has an adapted backbone refuse to be written as a config.

    `save`, `save_to_preset`, `to_json`, `clone_model`, `copy.deepcopy` and models built
    on top of the backbone all ask for that config.

    Args:
        backbone: The backbone, its adapter in place.
        mergeable: Whether the adapter could become part of the weights.

    Returns:
        A function that takes the guard away.
    """

    def refuse(original: Any, *args: Any, **options: Any) -> NoReturn:
        fix = "keep the adapter with adapter.save(folder)"
        if mergeable:
            fix += ", or put it into the weights with adapter.merge() and unload()"
        raise ConfigError(
            f"{backbone.name} has an adapter, which Keras' files cannot hold",
            where="save",
            expected="a backbone without adapters",
            fix=fix,
        )

    guarded = [backbone, *(one for one in backbone.layers if _is_adapted(one))]
    for layer in guarded:
        intercept(layer, _METHOD, refuse)

    def take_away() -> None:
        for layer in guarded:
            release(layer, _METHOD, refuse)

    return take_away


def _is_adapted(layer: Any) -> bool:
    return any(hasattr(spot.layer, "adapter_variables") for spot in spots(layer))
