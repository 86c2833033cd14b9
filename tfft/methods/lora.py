"""LoRA (Hu et al., 2021, arXiv:2106.09685)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from tfft.compute.layers import layers_by_path
from tfft.core.config import configuration, require
from tfft.core.patterns import matches
from tfft.core.seeds import derive
from tfft.methods.adapter import Adapter, Injected
from tfft.methods.base_weights import biases, places_named, weights_of
from tfft.methods.combine import Factors
from tfft.methods.method import METHODS, Method
from tfft.methods.targets import ALL_LINEAR, Targets, by_pattern
from tfft.models.architecture import Architecture, Place

LARGEST_RANK = 65536

# The largest network to share between searched ranks, as a multiple of a trial's rank:
# with more, its larger products cost more than a separate trace.
_MOST_ROOM = 8


@METHODS.register("lora")
@configuration(
    aliases={
        "r": "rank",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
        "target_modules": "target",
        "exclude_modules": "exclude",
        "init_lora_weights": "initialization",
        "loraplus_lr_ratio": "learning_rate_ratio",
    }
)
class LoRA(Method):
    """Low-rank updates next to frozen weights: y = W·x + b + s·B·A·dropout(x).

    The update is a side branch: neither the merged kernel nor its gradient is ever
    computed. A starts uniform in ±1/sqrt(in), as in PEFT, and B starts at zero, so
    training starts exactly from the pretrained function.

    GPT-2 stores query, key and value in one matrix, `c_attn`. If they are selected by
    that name, by `all-linear` or by default, they share one A, as in PEFT. If they are
    selected by their own names, each has its own A.

    Args:
        rank: Rank of the update, 1 or more. Defaults to 8. PEFT's `r`.
        alpha: Scale numerator: s = alpha / rank. Defaults to 16. PEFT's
            `lora_alpha`.
        dropout: Fraction of the branch's inputs dropped in training, from 0 up to
            but not including 1. Defaults to 0. PEFT's `lora_dropout`.
        target: Places to adapt: names or the ends of names (`query`,
            `attention.output`), Hugging Face names (`attention.output.dense`),
            globs, `re:` with a regular expression, or `all-linear`. Each pattern must
            match. Defaults to the architecture's default: query and value for BERT.
            PEFT's `target_modules`.
        exclude: Patterns of places to leave out. PEFT's `exclude_modules`.
        layers_to_transform: Indices of the layers to adapt. Defaults to all.
        rank_pattern: Ranks that differ from `rank`, by pattern of the place.
        alpha_pattern: Alphas that differ from `alpha`, by pattern of the place.
        bias: Which biases of the backbone also train: `none`, `all`, or `lora_only`
            for those of the adapted layers. Defaults to `none`.
        modules_to_save: Places of the backbone to train in full, such as `pooler`.
        use_rslora: s = alpha / sqrt(rank) (Kalajdzievski, 2023, arXiv:2312.03732).
            Defaults to False.
        use_dora: Learn magnitude and direction separately (Liu et al., 2024,
            arXiv:2402.09353). Defaults to False.
        initialization: `uniform`, or `pissa` for the principal directions of W
            (Meng et al., 2024, arXiv:2404.02948). Defaults to `uniform`. PEFT's
            `init_lora_weights`.
        learning_rate_ratio: Learning rate of B divided by that of A (LoRA+, Hayou et
            al., 2024, arXiv:2402.12354; the paper suggests 16). Defaults to 1.

    >>> LoRA(r=4, target_modules="query,key").target
    ('query', 'key')
    """

    learning_rate = 1e-3

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    target: Sequence[str] | None = None
    exclude: Sequence[str] = ()
    layers_to_transform: Sequence[int] | None = None
    rank_pattern: Mapping[str, int] = dataclasses.field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = dataclasses.field(default_factory=dict)
    bias: Literal["none", "all", "lora_only"] = "none"
    modules_to_save: Sequence[str] = ()
    use_rslora: bool = False
    use_dora: bool = False
    initialization: Literal["uniform", "pissa"] = "uniform"
    learning_rate_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Raises ConfigError for values outside the ranges above."""
        limits = f"1 to {LARGEST_RANK}"
        require(1 <= self.rank <= LARGEST_RANK, self, "rank", limits)
        ranks = self.rank_pattern.values()
        fits = all(1 <= rank <= LARGEST_RANK for rank in ranks)
        require(fits, self, "rank_pattern", f"ranks from {limits}")
        require(self.alpha > 0, self, "alpha", "a number above 0")
        fits = all(alpha > 0 for alpha in self.alpha_pattern.values())
        require(fits, self, "alpha_pattern", "numbers above 0")
        require(0 <= self.dropout < 1, self, "dropout", "at least 0 and below 1")
        fits = 0 < self.learning_rate_ratio <= 1e4
        require(fits, self, "learning_rate_ratio", "above 0 and up to 10000")

    @property
    def averaging(self) -> Literal["updates"] | None:
        """`updates`, because mean A times mean B is not the mean of the products."""
        return None if self.use_dora else "updates"

    def places(self, architecture: Architecture, num_layers: int) -> list[Place]:
        """Returns the places that match the target patterns.

        Raises:
            ConfigError: For a pattern that matches no place.
        """
        targets = Targets(self.target, self.exclude, self.layers_to_transform, "LoRA")
        return targets.places(architecture, num_layers)

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Wraps each target in a LoRA layer.

        Raises:
            ConfigError: For a pattern that matches no layer.
        """
        from tfft.methods.inject import wrap

        places = self.places(architecture, backbone.num_layers)
        every = architecture.places_of(backbone)
        whole = places_named(self.modules_to_save, every, "LoRA.modules_to_save")
        ranks = by_pattern(self.rank_pattern, places, self.rank, "LoRA.rank_pattern")
        alphas = by_pattern(
            self.alpha_pattern, places, self.alpha, "LoRA.alpha_pattern"
        )
        fused = self._fused(places, ranks)
        starts = self._fused_starts(backbone, fused, places, ranks, alphas)
        owners: dict[str, Any] = {}
        injected = []
        for place, rank, alpha in zip(places, ranks, alphas, strict=True):
            options = {
                "rank": rank,
                "alpha": alpha,
                "shared": owners.get(place.theirs) if place.theirs in fused else None,
                "start": starts.get(place.name),
                "seed": derive(seed, "lora", place.name, *([label] if label else [])),
                "label": label,
            }
            layer = wrap(backbone, place.path, self._maker(options))
            owners.setdefault(place.theirs, layer)
            injected.append(Injected(place, layer))
        base = {"none": [], "all": every, "lora_only": places}[self.bias]
        chosen = [*biases(backbone, base), *weights_of(backbone, whole)]
        return Adapter(
            self,
            backbone,
            architecture,
            tuple(injected),
            base_variables={id(v): v for v in chosen}.values(),
            learning_rate_multipliers=self._multipliers(injected),
        )

    def with_room(self, largest: Mapping[str, float]) -> LoRA | None:
        """Returns a LoRA with a higher rank when ranks or alphas are searched."""
        searched = {"rank", "alpha"} & largest.keys()
        if not searched or self.rank_pattern or self.alpha_pattern:
            return None
        room = max(self.rank, int(largest.get("rank", self.rank)))
        while room >= _MOST_ROOM * self.rank:
            room //= _MOST_ROOM
        return dataclasses.replace(self, rank=room, alpha=1.0)

    def become(self, adapter: Adapter, guest: LoRA) -> None:
        """Sets the scale of each layer to the one of the guest method."""
        from tfft.methods.layers.lora import scale_of

        scale = scale_of(guest.rank, guest.alpha, guest.use_rslora)
        for one in adapter.injected:
            one.layer.set_scale(scale)

    def for_updates(self, updates: Mapping[str, Factors]) -> LoRA:
        """Returns a LoRA of scale 1 whose places have the ranks of their updates."""
        ranks = {
            f"re:{re.escape(name)}": one.a.shape[1] for name, one in updates.items()
        }
        return LoRA(
            rank=max(ranks.values()),
            alpha=max(ranks.values()),
            target=tuple(ranks),
            rank_pattern=ranks,
            alpha_pattern=ranks,
        )

    def _maker(self, options: dict[str, Any]) -> Any:
        """Returns a function that wraps a layer in a LoRA layer."""
        from tfft.methods.layers.lora import lora_around

        def make(layer: Any) -> Any:
            return lora_around(
                layer,
                dropout=self.dropout,
                use_rslora=self.use_rslora,
                use_dora=self.use_dora,
                initialization=self.initialization,
                **options,
            )

        return make

    def _fused(self, places: list[Place], ranks: list[int]) -> set[str]:
        """Returns the Hugging Face modules whose parts share one A."""
        patterns = self.target or ()
        groups: dict[str, list[tuple[Place, int]]] = {}
        for place, rank in zip(places, ranks, strict=True):
            groups.setdefault(place.theirs, []).append((place, rank))
        return {
            theirs
            for theirs, parts in groups.items()
            if len(parts) == parts[0][0].share.of > 1
            and len({rank for _, rank in parts}) == 1
            and (
                not patterns
                or patterns == (ALL_LINEAR,)
                or any(matches(pattern, theirs) for pattern in patterns)
            )
        }

    def _fused_starts(
        self,
        backbone: Any,
        fused: set[str],
        places: list[Place],
        ranks: list[int],
        alphas: list[float],
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns the initial A and B of the parts that share one A, by place.

        PiSSA uses the principal directions of the whole fused matrix, as PEFT does.
        """
        from tfft.methods.layers.lora import scale_of
        from tfft.methods.layers.lora_starts import principal
        from tfft.methods.layers.matrix import kernel_of

        if self.initialization != "pissa":
            return {}
        layers = layers_by_path(backbone)
        starts = {}
        for theirs in fused:
            parts = [
                (place, rank, scale_of(rank, alpha, self.use_rslora))
                for place, rank, alpha in zip(places, ranks, alphas, strict=True)
                if place.theirs == theirs
            ]
            kernels = [kernel_of(layers[place.path]) for place, _, _ in parts]
            _, rank, first = parts[0]
            A, B = principal(np.concatenate(kernels, axis=1), rank, first)
            shares = np.split(B, len(parts), axis=1)
            for (place, _, scale), share in zip(parts, shares, strict=True):
                starts[place.name] = (A, share * (first / scale))
        return starts

    def _multipliers(self, injected: list[Injected]) -> dict[str, float]:
        if self.learning_rate_ratio == 1:
            return {}
        return {one.layer.lora_b.path: self.learning_rate_ratio for one in injected}
