"""Full fine-tuning: every weight may change."""

from __future__ import annotations

from typing import Any

from tfft.core.config import configuration
from tfft.methods.adapter import Adapter
from tfft.methods.method import METHODS, Method
from tfft.models.architecture import Architecture


@METHODS.register("full")
@configuration()
class Full(Method):
    """Trains every weight of the backbone, and the head."""

    learning_rate = 5e-5
    reversible = False

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Selects every variable."""
        return Adapter(self, backbone, architecture, base_variables=backbone.weights)
