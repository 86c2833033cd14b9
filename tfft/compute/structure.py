"""Detects changes of a backbone that make a trace of it stale."""

from __future__ import annotations

import weakref
from typing import Any

from tfft.compute.layers import spots

_Setting = bool | int | float | str | None


def structure_of(backbone: Any) -> tuple[Any, ...]:
    """Returns a key that changes when a trace of the backbone becomes stale.

    A trace reads the values of variables whenever it runs. The rest is fixed when it
    is made: which layers and variables there are, and each layer's precision,
    activation and plain settings. The key holds weak references only.

    Args:
        backbone: A KerasHub backbone.
    """
    layers = [(None, backbone)]
    layers += [(spot.attribute, spot.layer) for spot in spots(backbone)]
    return (
        tuple((name, weakref.ref(layer), _settings(layer)) for name, layer in layers),
        tuple(weakref.ref(variable) for variable in backbone.variables),
    )


def _settings(layer: Any) -> tuple[Any, ...]:
    public = (item for item in vars(layer).items() if not item[0].startswith("_"))
    return (
        layer.dtype_policy.name,
        getattr(layer, "quantization_mode", None),
        getattr(layer, "activation", None),
        tuple(item for item in public if isinstance(item[1], _Setting)),
    )
