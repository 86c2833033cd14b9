"""Prefix tuning (Li & Liang, 2021, arXiv:2101.00190)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfft.compute.layers import layers_by_path
from tfft.core.config import configuration, require
from tfft.core.seeds import derive
from tfft.methods.adapter import Adapter, Injected
from tfft.methods.method import METHODS, Method
from tfft.methods.targets import Targets
from tfft.models.architecture import Architecture


@METHODS.register("prefix")
@configuration(aliases={"num_virtual_tokens": "length"})
class Prefix(Method):
    """Learned keys and values in front of those of the text, in every layer.

    They are trained directly, without the network that the paper places before them.
    In models with rotary positions, such as Llama, they are not rotated.

    Args:
        length: Number of keys, 1 or more. Defaults to 16. PEFT's
            `num_virtual_tokens`.
        layers_to_transform: Indices of the layers to adapt. Defaults to all.
    """

    learning_rate = 1e-2
    identity_at_start = False
    mergeable = False

    length: int = 16
    layers_to_transform: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError for a length below 1."""
        require(1 <= self.length <= 4096, self, "length", "1 to 4096")

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Adds a prefix to each attention layer.

        Raises:
            ConfigError: For a layer that the backbone does not have.
        """
        from tfft.methods.layers.prefix import PrefixLayer

        targets = Targets(
            ("attention.key",), layers=self.layers_to_transform, where="Prefix"
        )
        layers = layers_by_path(backbone)
        injected = []
        for place in targets.places(architecture, backbone.num_layers):
            key = layers[place.path]
            host = layers[place.path.rsplit("/", 1)[0]]
            parts = (place.name, label) if label else (place.name,)
            layer = PrefixLayer(
                host,
                self.length,
                tuple(key.kernel.shape[1:]),
                seed=derive(seed, "prefix", *parts),
                label=label,
                name=f"prefix_{label}" if label else "prefix",
            )
            layer.join([(host, "_compute_attention", layer.around)])
            injected.append(Injected(place, layer))
        return Adapter(self, backbone, architecture, tuple(injected))
