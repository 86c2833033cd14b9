"""Sparse fine-tuning: a small fixed set of weights, chosen before training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from tfft.core.config import configuration, require
from tfft.methods.adapter import Adapter, Injected
from tfft.methods.method import METHODS, Method
from tfft.methods.targets import Targets
from tfft.models.architecture import Architecture


@METHODS.register("sparse")
@configuration(aliases={"target_modules": "target"})
class Sparse(Method):
    """Trains a fraction of the entries of each kernel and nothing else.

    Args:
        fraction: The fraction, above 0 and up to 1. Defaults to 0.01.
        score: How to choose: `magnitude` takes the largest weights (as SHiRA-WM,
            Bhardwaj et al., 2024, arXiv:2406.13175), `fisher` those with the
            largest squared gradients on the first training batches (as FISH, Sung et
            al., 2021, arXiv:2111.09839). Defaults to `magnitude`.
        fisher_batches: Number of batches for `fisher`. Defaults to 16.
        target: Places to adapt, as patterns like those of `LoRA`. Defaults to the
            architecture's default. PEFT's `target_modules`.
    """

    learning_rate = 1e-3

    fraction: float = 0.01
    score: Literal["magnitude", "fisher"] = "magnitude"
    fisher_batches: int = 16
    target: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Raises ConfigError for values outside the ranges above."""
        require(0 < self.fraction <= 1, self, "fraction", "above 0 and up to 1")
        require(self.fisher_batches >= 1, self, "fisher_batches", "1 or more")

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Adds changes to each target's kernel, at the entries of largest magnitude.

        Raises:
            ConfigError: For a pattern that matches no layer.
        """
        from tfft.methods.inject import wrap
        from tfft.methods.layers.sparse import SparseLayer

        places = Targets(self.target, where="Sparse").places(
            architecture, backbone.num_layers
        )
        options = {"fraction": self.fraction, "label": label}
        injected = tuple(
            Injected(
                place,
                wrap(backbone, place.path, lambda one: SparseLayer(one, **options)),
            )
            for place in places
        )
        return Adapter(self, backbone, architecture, injected)

    def look(
        self,
        adapter: Adapter,
        gradients: Callable[[Any, list[Any]], list[Any]],
        batches: Iterable[Any],
    ) -> None:
        """With `fisher`, chooses again by the sum of squared gradients."""
        import itertools

        import numpy as np

        if self.score != "fisher":
            return
        layers = [one.layer for one in adapter.injected]
        kernels = [layer.base.kernel for layer in layers]
        scores = [np.zeros(layer.matrix.shape) for layer in layers]
        for batch in itertools.islice(batches, self.fisher_batches):
            for total, gradient in zip(scores, gradients(batch, kernels), strict=True):
                total += np.square(np.array(gradient, "float64")).reshape(total.shape)
        for layer, total in zip(layers, scores, strict=True):
            layer.choose(total)
