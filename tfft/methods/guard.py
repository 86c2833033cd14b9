"""Stops Keras from saving a model with an adapter, which its files cannot store.

Keras saves the config of a model's class and the weights by path. KerasHub's config
says nothing about adapters: the file would fail to load, or load without the adapter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tfft.compute.layers import spots
from tfft.core.errors import ConfigError
from tfft.methods.inject import intercept, release

_METHOD = "get_config"


def guard(backbone: Any, mergeable: bool) -> Callable[[], None]:
    """Makes an adapted backbone raise an error when Keras asks for its config.

    `save`, `save_to_preset`, `to_json`, `clone_model`, `copy.deepcopy` and models built
    on top of the backbone all ask for that config.

    Args:
        backbone: The backbone with its adapter in place.
        mergeable: Whether the adapter can be merged into the weights.

    Returns:
        A function that removes the guard.
    """

    def refuse(original: Any, *args: Any, **options: Any) -> NoReturn:
        fix = "save the adapter with adapter.save(folder)"
        if mergeable:
            fix += ", or merge it with adapter.merge() and unload()"
        raise ConfigError(
            f"{backbone.name} has an adapter, which Keras files cannot store",
            where="save",
            expected="a backbone without an adapter",
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
