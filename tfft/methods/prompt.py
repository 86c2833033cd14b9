"""Prompt tuning (Lester et al., 2021, arXiv:2104.08691)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tfft.compute.layers import layers_by_path
from tfft.core.config import configuration, require
from tfft.core.seeds import stream
from tfft.methods.adapter import Adapter, Injected
from tfft.methods.method import METHODS, Method
from tfft.models.architecture import Architecture


@METHODS.register("prompt")
@configuration(aliases={"num_virtual_tokens": "length"})
class Prompt(Method):
    """Learned vectors in front of the text's states in the first layer.

    They are added after the embedding block, so the text keeps its positions and the
    model returns outputs for the given tokens only.

    Args:
        length: Number of vectors, 1 or more. Defaults to 16. PEFT's
            `num_virtual_tokens`.
        initialization: `vocabulary` for the embeddings of random tokens, `random`
            for small random numbers. Defaults to `vocabulary`.
    """

    learning_rate = 1e-2
    identity_at_start = False
    mergeable = False

    length: int = 16
    initialization: Literal["vocabulary", "random"] = "vocabulary"

    def __post_init__(self) -> None:
        """Raises ConfigError for a length below 1."""
        require(1 <= self.length <= 4096, self, "length", "1 to 4096")

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Adds the vectors before the first layer and removes them after the last."""
        from tfft.methods.layers.prompt import PromptLayer

        places = architecture.linear_places(backbone.num_layers)
        blocks = list(dict.fromkeys(place.path.split("/")[0] for place in places))
        layers = [layers_by_path(backbone)[block] for block in blocks]
        layer = PromptLayer(
            layers[0],
            self._start(backbone, seed, label),
            label=label,
            name=f"prompt_{label}" if label else "prompt",
        )
        calls = [(one, "call", layer.every) for one in layers]
        calls.append((layers[0], "call", layer.first))
        calls.append((layers[-1], "call", layer.last))
        layer.join(calls)
        return Adapter(self, backbone, architecture, (Injected(places[0], layer),))

    def _start(self, backbone: Any, seed: int, label: str) -> np.ndarray:
        random = stream(seed, "prompt", *([label] if label else []))
        shape = (self.length, backbone.hidden_dim)
        if self.initialization == "random":
            return random.normal(0, 0.02, shape).astype("float32")
        table = np.array(backbone.token_embedding.embeddings, "float32")
        return table[random.integers(0, len(table), self.length)]
