"""Linear probing: the backbone stays unchanged."""

from __future__ import annotations

from typing import Any

from tfft.core.config import configuration
from tfft.methods.adapter import Adapter
from tfft.methods.method import METHODS, Method
from tfft.models.architecture import Architecture


@METHODS.register("head")
@configuration()
class Head(Method):
    """Trains only the head."""

    learning_rate = 1e-3

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Selects no variable."""
        return Adapter(self, backbone, architecture)
