"""BitFit (Ben Zaken et al., 2021, arXiv:2106.10199)."""

from __future__ import annotations

from typing import Any

from tfft.core.config import configuration
from tfft.core.errors import ConfigError
from tfft.methods.adapter import Adapter
from tfft.methods.base_weights import biases
from tfft.methods.method import METHODS, Method
from tfft.models.architecture import Architecture


@METHODS.register("bitfit")
@configuration()
class BitFit(Method):
    """Trains the backbone's biases, including those of norms, and the head."""

    learning_rate = 1e-3

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Selects the biases.

        Raises:
            ConfigError: For a backbone without biases, such as Llama.
        """
        places = architecture.places_of(backbone)
        chosen = biases(backbone, places)
        if not chosen:
            raise ConfigError(
                f"{type(backbone).__name__} has no biases",
                where="BitFit",
                expected="an architecture with biases, such as BERT or GPT-2",
                fix='use method="lora" or method="ia3"',
            )
        return Adapter(self, backbone, architecture, base_variables=chosen)
