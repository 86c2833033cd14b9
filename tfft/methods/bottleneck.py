"""Bottleneck adapters (Houlsby et al., 2019, arXiv:1902.00751)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from tfft.core.config import configuration, require
from tfft.core.seeds import derive
from tfft.methods.adapter import Adapter, Injected
from tfft.methods.method import METHODS, Method
from tfft.methods.targets import Targets
from tfft.models.architecture import Architecture, Place

_PLACES = {
    "houlsby": ("attention.output", "ffn.down"),
    "pfeiffer": ("ffn.down",),
}


@METHODS.register("bottleneck")
@configuration(aliases={"bottleneck_size": "size", "non_linearity": "nonlinearity"})
class Bottleneck(Method):
    """Small networks after the blocks of each layer, before their residual sums.

    Args:
        size: Width of the bottleneck, 1 or more. Defaults to 64.
        placement: `houlsby` adds one after the attention and one after the
            feed-forward block, `pfeiffer` only after the feed-forward block (Pfeiffer
            et al., 2020, arXiv:2005.00247). Defaults to `pfeiffer`.
        nonlinearity: `relu`, `gelu`, `silu` or `tanh`. Defaults to `relu`.
        layers_to_transform: Indices of the layers to adapt. Defaults to all.
    """

    learning_rate = 1e-3
    mergeable = False

    size: int = 64
    placement: Literal["houlsby", "pfeiffer"] = "pfeiffer"
    nonlinearity: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    layers_to_transform: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError for a size below 1."""
        require(1 <= self.size <= 65536, self, "size", "1 to 65536")

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Adds a bottleneck after each block.

        Raises:
            ConfigError: For a layer that the backbone does not have.
        """
        from tfft.methods.inject import wrap
        from tfft.methods.layers.bottleneck import BottleneckLayer

        patterns = _PLACES[self.placement]
        targets = Targets(patterns, layers=self.layers_to_transform, where="Bottleneck")

        def maker(place: Place) -> Any:
            parts = (place.name, label) if label else (place.name,)
            options = {"seed": derive(seed, "bottleneck", *parts), "label": label}
            return lambda layer: BottleneckLayer(
                layer, self.size, self.nonlinearity, **options
            )

        injected = tuple(
            Injected(place, wrap(backbone, place.path, maker(place)))
            for place in targets.places(architecture, backbone.num_layers)
        )
        return Adapter(self, backbone, architecture, injected)
