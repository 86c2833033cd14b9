"""The base class of all methods: a configuration to apply to a backbone."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Literal

from tfft.compute.layers import spots
from tfft.core.errors import ConfigError
from tfft.core.registry import Registry
from tfft.methods.adapter import Adapter, Traits
from tfft.methods.combine import Factors, not_low_rank
from tfft.models.architecture import Architecture

METHODS = Registry("method", "tfft.methods")


class Method(Traits, abc.ABC):
    """A way to fine-tune; subclasses are frozen configurations.

    Attributes:
        learning_rate: The default, measured on the task named in the docs.
        identity_at_start: Whether training starts from the pretrained function.
        averaging: The values to average over several trainings: the trained
            `weights`, or the `updates` that they amount to. None if no average makes
            sense.
    """

    learning_rate: ClassVar[float]
    identity_at_start: ClassVar[bool] = True
    averaging: Literal["weights", "updates"] | None = "weights"

    def apply(self, backbone: Any, architecture: Architecture, seed: int) -> Adapter:
        """Adds the method's variables and makes only the trained ones trainable.

        Args:
            backbone: A built KerasHub backbone; changed in place.
            architecture: The backbone's named places.
            seed: Seed for the initial values of added variables.

        Returns:
            The adapter.

        Raises:
            ConfigError: When the configuration does not fit the backbone, or the
                backbone already has an adapter.
        """
        expect_plain(backbone)
        adapter = self.attach(backbone, architecture, seed)
        train_only(backbone, adapter.trained)
        return adapter

    @abc.abstractmethod
    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Adds the method's layers; the caller sets which weights are trainable.

        Args:
            backbone: A built KerasHub backbone; changed in place, or left unchanged
                when the configuration does not fit it.
            architecture: The backbone's named places.
            seed: Seed for the initial values of added variables.
            label: Prefix that distinguishes several adapters on one backbone.

        Returns:
            The adapter.

        Raises:
            ConfigError: When the configuration does not fit the backbone.
        """

    def with_room(self, largest: Mapping[str, float]) -> Method | None:
        """Returns a method whose network can also train this method.

        This method's variables are a corner of that network's variables; the rest is
        zero and stays zero. `become` sets everything else. This lets a search trace one
        network for many trials. Most methods need their own network and return None.

        Args:
            largest: The largest value in the search for each option of the method.
        """
        return None

    def become(self, adapter: Adapter, guest: Method) -> None:
        """Makes a network of this method compute like one of the guest method.

        Args:
            adapter: The network's adapter. `become` must first be called before
                anything is traced.
            guest: A method whose `with_room` returned this one.
        """
        raise NotImplementedError(f"{self.name} cannot stand in for other methods")

    def for_updates(self, updates: Mapping[str, Factors]) -> Method:
        """Returns a method whose adapter can hold the given updates.

        Raises:
            ConfigError: For a method without low-rank updates.
        """
        raise not_low_rank(self.name)

    def look(
        self,
        adapter: Adapter,
        gradients: Callable[[Any, list[Any]], list[Any]],
        batches: Iterable[Any],
    ) -> None:
        """Looks at training batches before training starts; most methods do not.

        Args:
            adapter: The return value of `apply`, in the network that will train.
            gradients: Returns the gradients of a batch's loss for given variables.
            batches: The training batches.
        """
        return


def expect_plain(backbone: Any) -> None:
    """Raises an error if a backbone has an adapter, before anything is changed.

    Raises:
        ConfigError: Names the first adapted layer.
    """
    for spot in spots(backbone):
        if hasattr(spot.layer, "adapter_variables"):
            raise ConfigError(
                f"{spot.layer.path} already has an adapter",
                expected="a backbone without adapters",
                fix="add a second adapter with add() of the first, or load the "
                "backbone again",
            )


def train_only(backbone: Any, variables: Iterable[Any]) -> None:
    """Makes exactly these variables of a backbone trainable.

    Freezes variables and not layers: inside a frozen layer, Keras ignores anything that
    is added later.
    """
    chosen = {id(variable) for variable in variables}
    backbone.trainable = True
    for variable in backbone.weights:
        variable.trainable = id(variable) in chosen
