"""LoRA (Hu et al., 2021, arXiv:2106.09685)."""

from __future__ import annotations

from typing import Any

from tfft.adapters.method import (
    METHODS,
    Adapter,
    Injected,
    Method,
    expect_plain,
    train_only,
)
from tfft.core.config import configuration, require
from tfft.core.patterns import select
from tfft.core.seeds import derive
from tfft.models.architecture import Architecture, Place

_ALL = "all-linear"


@METHODS.register("lora")
@configuration(
    aliases={
        "r": "rank",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "target_modules": "target",
    }
)
class LoRA(Method):
    """Low-rank updates beside frozen weights: y = W·x + b + s·B·A·dropout(x).

    The update is a side branch: neither the merged kernel nor its gradient is ever
    formed. A starts uniform in ±1/sqrt(in) as in PEFT and B at zero, so training
    starts from the pretrained function exactly.

    Args:
        rank: Rank of the update, 1 or more. Defaults to 8. PEFT's `r`.
        alpha: Scale numerator: s = alpha / rank. Defaults to 16. PEFT's
            `lora_alpha`.
        dropout: Share of the branch's inputs dropped in training, from 0 up to
            but not including 1. Defaults to 0. PEFT's `lora_dropout`.
        target: Places to adapt: names or their tails (`query`,
            `attention.output`), Hugging Face names (`attention.output.dense`),
            globs, `re:` and a regular expression, or `all-linear`. Each must
            match. Defaults to the architecture's: query and value for BERT. PEFT's
            `target_modules`.
        use_rslora: s = alpha / sqrt(rank) (Kalajdzievski, 2023, arXiv:2312.03732).
            Defaults to False.

    >>> LoRA(r=4, target_modules="query,key").target
    ('query', 'key')
    """

    learning_rate = 1e-3

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    target: tuple[str, ...] | None = None
    use_rslora: bool = False

    def __post_init__(self) -> None:
        """Refuses values outside the ranges above."""
        require(1 <= self.rank <= 65536, self, "rank", "1 to 65536")
        require(self.alpha > 0, self, "alpha", "a number above 0")
        require(0 <= self.dropout < 1, self, "dropout", "from 0 up to but not 1")

    @property
    def scale(self) -> float:
        """The factor s of the update."""
        return self.alpha / (self.rank**0.5 if self.use_rslora else self.rank)

    def places(self, architecture: Architecture, num_layers: int) -> list[Place]:
        """Returns the places that the target patterns mean.

        Raises:
            ConfigError: For a pattern that means none.
        """
        places = architecture.linear_places(num_layers)
        patterns = self.target or architecture.default_targets
        if patterns == (_ALL,):
            return places
        names = [place.names for place in places]
        return [places[index] for index in select(patterns, names, where="LoRA.target")]

    def apply(self, backbone: Any, architecture: Architecture, seed: int) -> Adapter:
        """Puts a LoRA layer around each target and freezes the backbone.

        Raises:
            ConfigError: For a pattern that means no layer, or when the backbone has
                an adapter already.
        """
        from tfft.adapters.inject import wrap

        expect_plain(backbone)
        places = self.places(architecture, backbone.num_layers)
        injected = tuple(
            Injected(place, wrap(backbone, place.path, self._wrapper(place, seed)))
            for place in places
        )
        adapter = Adapter(self, backbone, architecture, injected)
        train_only(backbone, adapter.variables)
        return adapter

    def _wrapper(self, place: Place, seed: int) -> Any:
        """Returns a function that makes the LoRA layer around a layer."""
        from tfft.adapters.layers.lora import lora_around

        def make(layer: Any) -> Any:
            return lora_around(
                layer,
                rank=self.rank,
                alpha=self.alpha,
                dropout=self.dropout,
                use_rslora=self.use_rslora,
                seed=derive(seed, "lora", place.name),
            )

        return make
