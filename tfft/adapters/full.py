"""Full fine-tuning: every weight may change."""

from __future__ import annotations

from typing import Any

from tfft.adapters.method import METHODS, Adapter, Method, expect_plain, train_only
from tfft.core.config import configuration
from tfft.models.architecture import Architecture


@METHODS.register("full")
@configuration()
class Full(Method):
    """Trains every weight of the backbone, and the head."""

    learning_rate = 5e-5

    def apply(self, backbone: Any, architecture: Architecture, seed: int) -> Adapter:
        """Makes every variable trainable.

        Raises:
            ConfigError: When the backbone has an adapter already.
        """
        expect_plain(backbone)
        train_only(backbone, backbone.weights)
        return Adapter(self, backbone, architecture)
