"""A method applied to a backbone, and the operations on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from tfft.core.errors import ConfigError
from tfft.methods.combine import Factors, not_low_rank
from tfft.methods.guard import guard
from tfft.methods.inject import put_in, take_out
from tfft.methods.swap import Swap
from tfft.models.architecture import Architecture, Place

State = Literal["active", "merged", "disabled", "unloaded"]


class Traits:
    """The properties of a method that an adapter needs to know.

    Attributes:
        name: The method's name in options and messages.
        mergeable: Whether its update can be added to the backbone's own weights.
        reversible: Whether the pretrained backbone can be restored. A method that
            trains most of the backbone keeps no second copy of it.
    """

    name: ClassVar[str]
    mergeable: ClassVar[bool] = True
    reversible: ClassVar[bool] = True


@dataclass(frozen=True)
class Injected:
    """A layer that a method added, and its place in the backbone.

    Attributes:
        place: The place by all its names.
        layer: The added layer, such as a `LoRADense`.
    """

    place: Place
    layer: Any


class Adapter:
    """A method applied to a backbone.

    Args:
        method: The method's configuration.
        backbone: The backbone, changed in place.
        architecture: The backbone's named places.
        injected: The layers that the method added.
        base_variables: The backbone's own variables that the method trains.
        learning_rate_multipliers: Learning rate factors by variable path.
    """

    def __init__(
        self,
        method: Traits,
        backbone: Any,
        architecture: Architecture,
        injected: tuple[Injected, ...] = (),
        base_variables: Iterable[Any] = (),
        learning_rate_multipliers: Mapping[str, float] | None = None,
    ) -> None:
        self.method, self.backbone = method, backbone
        self.architecture, self.injected = architecture, injected
        self.base_variables = list(base_variables)
        self.learning_rate_multipliers = dict(learning_rate_multipliers or {})
        self.state: State = "active"
        self._swap: Swap | None = None
        self._unguard = self._guard()
        self._pretrained = [
            (variable, np.array(variable))
            for variable in self.base_variables
            if method.reversible
        ]

    @property
    def variables(self) -> list[Any]:
        """The variables that the method added and trains, without duplicates."""
        every = [v for one in self.injected for v in one.layer.adapter_variables]
        return list({id(variable): variable for variable in every}.values())

    @property
    def inputs(self) -> list[Any]:
        """The added variables that act as learned inputs, such as a prompt.

        Like an embedding table, each is a set of vectors and not a matrix.
        """
        every = [v for one in self.injected for v in one.layer.learned_inputs]
        return list({id(variable): variable for variable in every}.values())

    @property
    def trained(self) -> list[Any]:
        """All variables that the method trains."""
        return [*self.variables, *self.base_variables]

    @property
    def changed_base_variables(self) -> list[Any]:
        """The backbone's own variables that training may change."""
        own = {id(variable) for variable in self.variables}
        return [
            variable
            for variable in self.backbone.trainable_variables
            if id(variable) not in own
        ]

    @property
    def merged(self) -> bool:
        """Whether the base weights contain the update."""
        return self.state == "merged"

    def updates(self) -> dict[str, Factors]:
        """Returns the low-rank update of each place, for `combine`.

        Raises:
            ConfigError: When the update of a place is not a low-rank matrix.
        """
        updates = {one.place.name: one.layer.update() for one in self.injected}
        if not updates or None in updates.values():
            raise not_low_rank(self.method.name)
        return updates

    def merge(self) -> None:
        """Adds the updates to the base weights, so that inference costs nothing extra.

        Raises:
            ConfigError: When already merged, or when the method cannot be merged.
        """
        self._expect("active")
        if not self.method.mergeable:
            raise ConfigError(
                f"{self.method.name} cannot be merged",
                expected="a method whose update can be added to the weights",
                fix="keep the adapter separate from the backbone",
            )
        done: list[Any] = []
        try:
            for one in self.injected:
                one.layer.merge()
                done.append(one.layer)
        except ConfigError:
            for layer in reversed(done):
                layer.unmerge()
            raise
        self.state = "merged"

    def unmerge(self) -> None:
        """Removes the updates again and restores the base weights exactly.

        Raises:
            ConfigError: When nothing is merged.
        """
        self._expect("merged")
        for one in reversed(self.injected):
            one.layer.unmerge()
        self.state = "active"

    def switch_off(self) -> None:
        """Makes the backbone compute as if it had no adapter.

        Raises:
            ConfigError: When already off or merged, or when the method is not
                reversible.
        """
        self._expect("active")
        self._expect_reversible()
        neutral = [pair for one in self.injected for pair in one.layer.neutral()]
        self._swap = Swap([*neutral, *self._pretrained])
        self.state = "disabled"

    def switch_on(self) -> None:
        """Reverts `switch_off`, bit for bit.

        Raises:
            ConfigError: When the adapter is not switched off.
        """
        self._expect("disabled")
        self._swap.undo()
        self._swap, self.state = None, "active"

    @contextlib.contextmanager
    def disable(self) -> Iterator[None]:
        """Switches the adapter off inside a `with` block."""
        self.switch_off()
        try:
            yield
        finally:
            self.switch_on()

    def unload(self) -> Any:
        """Removes the method's layers and leaves a plain KerasHub backbone.

        After `merge` the backbone keeps the update; otherwise it is the pretrained one.

        Returns:
            The backbone, fully trainable.

        Raises:
            ConfigError: When not merged and the method is not reversible.
        """
        if self.state == "disabled":
            self.switch_on()
        if self.state == "active":
            self._expect_reversible()
            for variable, value in self._pretrained:
                variable.assign(value)
        self.take_out()
        self.state = "unloaded"
        self.backbone.trainable = True
        for variable in self.backbone.weights:
            variable.trainable = True
        return self.backbone

    def take_out(self) -> Callable[[], None]:
        """Puts the backbone's own layers back in place of the method's.

        Returns:
            A function that puts the method's layers in again, values unchanged.
        """
        self._unguard()
        undo = [one.layer.leave(self.backbone) for one in reversed(self.injected)]

        def put_back() -> None:
            for enter in reversed(undo):
                enter()
            self._unguard = self._guard()

        return put_back

    @contextlib.contextmanager
    def folded(self) -> Iterator[None]:
        """Moves the adapter's update into the plain backbone inside a `with` block.

        A model traced inside costs no more than the pretrained one. A method that
        cannot be merged keeps its layers.
        """
        if not self.method.mergeable:
            yield
            return
        self.merge()
        taken = [
            (one.layer, take_out(self.backbone, one.layer))
            for one in reversed(self.injected)
        ]
        try:
            yield
        finally:
            for layer, spot in reversed(taken):
                put_in(layer, spot)
            self.unmerge()

    def _guard(self) -> Callable[[], None]:
        if not self.injected:
            return lambda: None
        return guard(self.backbone, self.method.mergeable)

    def _expect_reversible(self) -> None:
        if not self.method.reversible:
            raise ConfigError(
                f"{self.method.name} keeps no copy of the pretrained weights",
                expected="a method that trains few weights",
                fix="load the backbone again",
            )

    def _expect(self, state: State) -> None:
        if self.state == state:
            return
        is_now = {
            "active": "not merged" if state == "merged" else "not disabled",
            "merged": "merged already" if state == "active" else "merged",
            "disabled": "disabled",
            "unloaded": "unloaded",
        }[self.state]
        fixes = {
            "active": "call merge() first" if state == "merged" else "",
            "merged": "call unmerge() first",
            "disabled": "leave the disable() block, or activate the adapter",
            "unloaded": "apply the method again",
        }
        raise ConfigError(f"the adapter is {is_now}", fix=fixes[self.state])
