"""What every method is: a configuration that can be applied to a backbone."""

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
        learning_rate: The default, measured on the task that the docs name.
        identity_at_start: Whether training starts from the pretrained function.
        averaging: What is averaged over several trainings: the trained `weights`, or
            the `updates` they stand for. None when an average has no meaning.
    """

    learning_rate: ClassVar[float]
    identity_at_start: ClassVar[bool] = True
    averaging: Literal["weights", "updates"] | None = "weights"

    def apply(self, backbone: Any, architecture: Architecture, seed: int) -> Adapter:
        """Sets which variables of the backbone train, and adds its own.

        Args:
            backbone: A built KerasHub backbone; changed in place.
            architecture: Its named places.
            seed: For the initial values of added variables.

        Returns:
            The adapter.

        Raises:
            ConfigError: When the configuration does not suit the backbone, or the
                backbone has an adapter already.
        """
        expect_plain(backbone)
        adapter = self.attach(backbone, architecture, seed)
        train_only(backbone, adapter.trained)
        return adapter

    @abc.abstractmethod
    def attach(
        self, backbone: Any, architecture: Architecture, seed: int, label: str = ""
    ) -> Adapter:
        """Adds the method's layers; training is set by who calls.

        Args:
            backbone: A built KerasHub backbone; changed in place, or not at all
                when the configuration does not suit it.
            architecture: Its named places.
            seed: For the initial values of added variables.
            label: Tells the variables of several adapters on one backbone apart.

        Returns:
            The adapter.

        Raises:
            ConfigError: When the configuration does not suit the backbone.
        """

    def with_room(self, largest: Mapping[str, float]) -> Method | None:
        """Returns a method whose network can be trained as if it were of this one.

        This one's variables are corners of that network's, which are zero elsewhere
        and stay it; `become` sets the rest. So a search traces one network for many
        trials. None for a method that wants a network of its own, as most do.

        Args:
            largest: The largest value that each option of the method may have.
        """
        return None

    def become(self, adapter: Adapter, guest: Method) -> None:
        """Makes a network of this method compute as one of a method it has room for.

        Args:
            adapter: The network's; it was called before, or nothing is traced yet.
            guest: A method whose `with_room` returned this one.
        """
        raise NotImplementedError(f"{self.name} has no room for others")

    def for_updates(self, updates: Mapping[str, Factors]) -> Method:
        """Returns the method of an adapter that can hold updates.

        Raises:
            ConfigError: For a method whose updates are not low-rank.
        """
        raise not_low_rank(self.name)

    def look(
        self,
        adapter: Adapter,
        gradients: Callable[[Any, list[Any]], list[Any]],
        batches: Iterable[Any],
    ) -> None:
        """Looks at training batches before training starts; most need not.

        Args:
            adapter: What `apply` returned, in the network that will train.
            gradients: Returns the gradients of a batch's loss for variables.
            batches: The training batches.
        """
        return


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
                fix="add a second one by the first one's add(), or load the backbone "
                "anew",
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
