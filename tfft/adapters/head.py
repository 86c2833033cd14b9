"""Linear probing: the backbone stays as it is."""

from __future__ import annotations

from typing import Any

from tfft.adapters.method import METHODS, Adapter, Method, expect_plain, train_only
from tfft.core.config import configuration
from tfft.models.architecture import Architecture


@METHODS.register("head")
@configuration()
class Head(Method):
    """Trains the head alone."""

    learning_rate = 1e-3

    def apply(self, backbone: Any, architecture: Architecture, seed: int) -> Adapter:
        """Freezes every variable of the backbone.

        Raises:
            ConfigError: When the backbone has an adapter already.
        """
        expect_plain(backbone)
        train_only(backbone, ())
        return Adapter(self, backbone, architecture)
