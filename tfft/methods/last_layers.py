"""Partial fine-tuning: the last layers and everything above them."""

from __future__ import annotations

from typing import Any

from tfft.compute.layers import variables_by_path
from tfft.core.config import configuration, require
from tfft.core.errors import ConfigError
from tfft.methods.adapter import Adapter
from tfft.methods.method import METHODS, Method
from tfft.models.architecture import Architecture


@METHODS.register("last_layers")
@configuration(aliases={"freeze_trainable_layers": "count"})
class LastLayers(Method):
    """Trains the last layers of the backbone, the pooler above them, and the head.

    Args:
        count: Number of layers, at least 1. Defaults to 2.
    """

    learning_rate = 1e-4
    reversible = False

    count: int = 2

    def __post_init__(self) -> None:
        """Raises ConfigError for a count below 1."""
        require(self.count >= 1, self, "count", "1 or more")

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Selects the variables of the last layers.

        Raises:
            ConfigError: When the backbone has fewer layers.
        """
        if self.count > backbone.num_layers:
            raise ConfigError(
                f"count={self.count}",
                where="LastLayers",
                expected=f"at most the model's {backbone.num_layers} layers",
                fix='lower it, or use method="full"',
            )
        first = backbone.num_layers - self.count
        last = tuple(f"layers.{i}." for i in range(first, backbone.num_layers))
        variables = variables_by_path(backbone)
        chosen = [
            variables[weight.path]
            for place in architecture.places_of(backbone)
            if place.name.startswith(last) or place.name in architecture.top
            for weight in place.weights()
        ]
        return Adapter(self, backbone, architecture, base_variables=chosen)
