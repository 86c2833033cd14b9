"""IA3 (Liu et al., 2022, arXiv:2205.05638)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfft.core.config import configuration
from tfft.core.patterns import matches
from tfft.core.seeds import derive
from tfft.methods.adapter import Adapter, Injected
from tfft.methods.base_weights import places_named, weights_of
from tfft.methods.method import METHODS, Method
from tfft.methods.targets import Targets
from tfft.models.architecture import Architecture, Place


@METHODS.register("ia3")
@configuration(
    aliases={
        "target_modules": "target",
        "exclude_modules": "exclude",
        "feedforward_modules": "feedforward",
    }
)
class IA3(Method):
    """Learned factors on keys, values and the inner states of feed-forward blocks.

    Keys and values are multiplied after their bias is added. Inner states are
    multiplied before they enter `ffn.down`. All factors start at 1.

    Args:
        target: Places to adapt, as patterns like those of `LoRA`. Defaults to key,
            value and `ffn.down`. PEFT's `target_modules`.
        feedforward: The targets whose inputs are multiplied instead of their outputs.
            May be empty. Defaults to `ffn.down`. PEFT's `feedforward_modules`.
        exclude: Patterns of places to leave out. PEFT's `exclude_modules`.
        modules_to_save: Places of the backbone to train in full, such as `pooler`.

    >>> IA3(target_modules="key,value").feedforward
    ('ffn.down',)
    """

    learning_rate = 1e-2

    target: Sequence[str] = ("key", "value", "ffn.down")
    feedforward: Sequence[str] = ("ffn.down",)
    exclude: Sequence[str] = ()
    modules_to_save: Sequence[str] = ()

    def places(self, architecture: Architecture, num_layers: int) -> list[Place]:
        """Returns the places that match the target patterns.

        Raises:
            ConfigError: For a pattern that matches no place.
        """
        targets = Targets(self.target, self.exclude, where="IA3")
        return targets.places(architecture, num_layers)

    def on_inputs(self, place: Place) -> bool:
        """Returns whether a place has its inputs multiplied."""
        return any(
            matches(pattern, name)
            for pattern in self.feedforward
            for name in place.names
        )

    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Wraps each target in a layer with factors.

        Raises:
            ConfigError: For a pattern that matches no layer.
        """
        from tfft.methods.inject import wrap
        from tfft.methods.layers.ia3 import IA3Layer

        places = self.places(architecture, backbone.num_layers)
        every = architecture.places_of(backbone)
        whole = places_named(self.modules_to_save, every, "IA3.modules_to_save")

        def maker(place: Place) -> Any:
            options = {"seed": derive(seed, "ia3", place.name), "label": label}
            return lambda layer: IA3Layer(layer, self.on_inputs(place), **options)

        injected = tuple(
            Injected(place, wrap(backbone, place.path, maker(place)))
            for place in places
        )
        return Adapter(
            self,
            backbone,
            architecture,
            injected,
            base_variables=weights_of(backbone, whole),
        )
