"""What every method is: a configuration that can be applied to a backbone."""

from __future__ import annotations

import abc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from tfft.core.errors import ConfigError
from tfft.core.registry import Registry
from tfft.models.architecture import Architecture, Place
from tfft.models.layers import spots

METHODS = Registry("method", "tfft.adapters")


@dataclass(frozen=True)
class Injected:
    """A layer of a method's own, where it stands.

    Attributes:
        place: The place by all its names.
        layer: The layer that took it, such as a `LoRADense`.
    """

    place: Place
    layer: Any


class Adapter:
    """A method applied to a backbone.

    Args:
        method: The configuration.
        backbone: The backbone, changed in place.
        architecture: Its named places.
        injected: The layers that the method put in.
    """

    def __init__(
        self,
        method: Method,
        backbone: Any,
        architecture: Architecture,
        injected: tuple[Injected, ...] = (),
    ) -> None:
        self.method, self.backbone = method, backbone
        self.architecture, self.injected = architecture, injected
        self.merged = False

    @property
    def variables(self) -> list[Any]:
        """The variables that the method added."""
        return [
            variable
            for one in self.injected
            for variable in one.layer.adapter_variables
        ]

    @property
    def changed_base_variables(self) -> list[Any]:
        """The variables of the backbone itself that training may change."""
        own = {id(variable) for variable in self.variables}
        return [
            variable
            for variable in self.backbone.trainable_variables
            if id(variable) not in own
        ]

    def merge(self) -> None:
        """Adds the updates to the base weights, so that inference costs no more.

        Raises:
            ConfigError: When they are merged already.
        """
        self._expect(merged=False)
        for one in self.injected:
            one.layer.merge()
        self.merged = True

    def unmerge(self) -> None:
        """Takes the updates out again; the base weights are what they were, exactly.

        Raises:
            ConfigError: When nothing is merged.
        """
        self._expect(merged=True)
        for one in self.injected:
            one.layer.unmerge()
        self.merged = False

    def _expect(self, merged: bool) -> None:
        if self.merged is not merged:
            state = "merged already" if self.merged else "not merged"
            raise ConfigError(
                f"the adapter is {state}",
                fix="call unmerge() first" if self.merged else "call merge() first",
            )


class Method(abc.ABC):
    """A way to fine-tune; subclasses are frozen configurations.

    Attributes:
        name: What users call it.
        learning_rate: The default, measured on the task the docs name.
    """

    name: ClassVar[str]
    learning_rate: ClassVar[float]

    @abc.abstractmethod
    def apply(self, backbone: Any, architecture: Architecture, seed: int) -> Adapter:
        """Sets which variables of the backbone train, and adds its own.

        Args:
            backbone: A built KerasHub backbone; changed in place.
            architecture: Its named places.
            seed: For the initial values of added variables.

        Returns:
            The adapter.

        Raises:
            ConfigError: When the configuration does not suit the backbone.
        """


def expect_plain(backbone: Any) -> None:
    """Refuses a backbone that holds an adapter, before anything is changed.

    Raises:
        ConfigError: Naming the first adapted layer.
    """
    for spot in spots(backbone):
        if hasattr(spot.layer, "adapter_variables"):
            raise ConfigError(
                f"{spot.layer.path} has an adapter already",
                expected="a backbone without adapters",
                fix="load the backbone anew",
            )


def train_only(backbone: Any, variables: Iterable[Any]) -> None:
    """Makes exactly these variables of a backbone trainable.

    Variables are frozen, not layers: a frozen layer hides from Keras whatever is
    added below it later.
    """
    chosen = {id(variable) for variable in variables}
    backbone.trainable = True
    for variable in backbone.weights:
        variable.trainable = id(variable) in chosen
