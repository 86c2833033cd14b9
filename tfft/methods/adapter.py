"""A method applied to a backbone, and what can be done with it."""

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
        method: The configuration.
        backbone: The backbone, changed in place.
        architecture: Its named places.
        injected: The layers that the method put in.
        base_variables: The backbone's own variables that it trains.
        learning_rate_multipliers: Factors of the learning rate by variable path.
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
        """The variables that the method added and trains, each once."""
        every = [v for one in self.injected for v in one.layer.adapter_variables]
        return list({id(variable): variable for variable in every}.values())

    @property
    def inputs(self) -> list[Any]:
        """Those of the variables that are learned inputs, such as a prompt.

        Like a table of embeddings they are rows of vectors and no matrix.
        """
        every = [v for one in self.injected for v in one.layer.learned_inputs]
        return list({id(variable): variable for variable in every}.values())

    @property
    def trained(self) -> list[Any]:
        """Everything that the method trains."""
        return [*self.variables, *self.base_variables]

    @property
    def changed_base_variables(self) -> list[Any]:
        """The variables of the backbone itself that training may change."""
        own = {id(variable) for variable in self.variables}
        return [
            variable
            for variable in self.backbone.trainable_variables
            if id(variable) not in own
        ]

    @property
    def merged(self) -> bool:
        """Whether the base weights hold the update."""
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
        """Adds the updates to the base weights, so that inference costs no more.

        Raises:
            ConfigError: When they are merged already, or the method cannot merge.
        """
        self._expect("active")
        if not self.method.mergeable:
            raise ConfigError(
                f"{self.method.name} cannot be merged",
                expected="a method whose update is a change of weights",
                fix="keep the adapter beside the backbone",
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
        """Takes the updates out again; the base weights are what they were, exactly.

        Raises:
            ConfigError: When nothing is merged.
        """
        self._expect("merged")
        for one in reversed(self.injected):
            one.layer.unmerge()
        self.state = "active"

    def switch_off(self) -> None:
        """Makes the backbone compute as if the adapter were not there.

        Raises:
            ConfigError: When it is off or merged, or the method keeps no way back.
        """
        self._expect("active")
        self._expect_reversible()
        neutral = [pair for one in self.injected for pair in one.layer.neutral()]
        self._swap = Swap([*neutral, *self._pretrained])
        self.state = "disabled"

    def switch_on(self) -> None:
        """Undoes `switch_off`, bit for bit.

        Raises:
            ConfigError: When the adapter is not off.
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
        """Takes the method's layers out; the backbone is KerasHub's own again.

        After `merge` it keeps the update, else it is the pretrained one.

        Returns:
            The backbone, all of it trainable.

        Raises:
            ConfigError: When it is not merged and the method keeps no way back.
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
        """Puts the backbone's own layers where the method's stand.

        Returns:
            A function that puts the method's layers in again, with their values.
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
        """Has the plain backbone do what the adapter does inside a `with` block.

        A model traced inside costs no more than the pretrained one. A method that
        cannot be merged stays beside it.
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
                expected="a method that trains few of them",
                fix="load the backbone anew",
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
            "disabled": "leave the block of disable(), or activate it",
            "unloaded": "apply the method again",
        }
        raise ConfigError(f"the adapter is {is_now}", fix=fixes[self.state])
