"""Several named adapters on one backbone, one of them active."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfft.core.errors import ConfigError, nearest, one_of, shorten
from tfft.methods.adapter import Adapter
from tfft.methods.combine import Combination, combine
from tfft.methods.method import METHODS, Method, train_only

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class NamedAdapters:
    """The named adapters of a backbone; the first one starts as the active one.

    Args:
        adapter: A method applied to the backbone.
        seed: Seed for the variables of adapters added later. Defaults to 0.
        name: The adapter's name. Defaults to `default`, as in PEFT.
    """

    def __init__(self, adapter: Adapter, seed: int = 0, name: str = "default") -> None:
        self._seed, self.active = seed, _checked(name)
        self._adapters = {name: adapter}

    @property
    def adapter(self) -> Adapter:
        """The active adapter."""
        return self._adapters[self.active]

    @property
    def names(self) -> list[str]:
        """All names, in the order in which they were added."""
        return list(self._adapters)

    @property
    def variables(self) -> list[Any]:
        """The variables that the active adapter's method added."""
        return self.adapter.variables

    def add(self, name: str, method: Any, seed: int | None = None) -> None:
        """Adds an adapter and makes it the active one.

        Args:
            name: The new name: 1 to 64 letters, digits, `_` or `-`.
            method: A name or an object, as for `apply`.
            seed: Seed for its variables. Defaults to that of the first adapter.

        Raises:
            ConfigError: For a name in use, a method that does not fit the backbone,
                or a method that is not reversible.
        """
        resolved: Method = METHODS.resolve(method)
        if _checked(name) in self._adapters:
            raise ConfigError(
                f"an adapter named {name!r} already exists",
                expected="a new name",
                fix="delete that adapter first, or choose another name",
            )
        if not resolved.reversible:
            raise ConfigError(
                f"{resolved.name} cannot be one of several adapters",
                expected="a method that can restore the pretrained weights",
                fix="apply it to a separate backbone",
            )
        before = self.adapter
        before.switch_off()
        seed = self._seed if seed is None else seed
        try:
            added = resolved.attach(before.backbone, before.architecture, seed, name)
        except ConfigError:
            before.switch_on()
            raise
        self._adapters[name], self.active = added, name
        train_only(added.backbone, added.trained)

    def activate(self, name: str) -> None:
        """Switches the active adapter off and this one on, which then trains.

        Raises:
            ConfigError: For an unknown name, or while the active one is merged.
        """
        chosen = self[name]
        if name == self.active:
            return
        self.adapter.switch_off()
        chosen.switch_on()
        self.active = name
        train_only(chosen.backbone, chosen.trained)

    def __getitem__(self, name: str) -> Adapter:
        """Returns the adapter with that name.

        Raises:
            ConfigError: For an unknown name.
        """
        if name not in self._adapters:
            raise ConfigError(
                f"no adapter named {shorten(name)}",
                expected=one_of(self.names),
                fix=nearest(name, self.names) or "choose one of these names",
            )
        return self._adapters[name]

    def delete(self, name: str) -> None:
        """Removes an inactive adapter with its layers and variables.

        Raises:
            ConfigError: For an unknown name or the active adapter.
        """
        adapter = self[name]
        if name == self.active:
            raise ConfigError(
                f"{name!r} is the active adapter",
                expected="an adapter that is not active",
                fix="activate another one first, or call unload()",
            )
        adapter.take_out()
        adapter.state = "unloaded"
        del self._adapters[name]

    def combine(
        self,
        name: str,
        adapters: Sequence[str],
        weights: Sequence[float],
        how: Combination = "cat",
        rank: int | None = None,
    ) -> None:
        """Adds an adapter that is a weighted combination of others, and activates it.

        Args:
            name: The new name.
            adapters: Names of LoRA adapters on the same places.
            weights: One weight for each adapter.
            how: `linear`, `cat` or `svd`, as in PEFT; see `tfft.methods.combine`.
            rank: The rank for `svd`. Defaults to the largest rank of the adapters.

        Raises:
            ConfigError: For adapters that cannot be combined.
        """
        chosen = [self[one] for one in adapters]
        if not chosen or len(chosen) != len(weights):
            raise ConfigError(
                f"{len(chosen)} adapters with {len(weights)} weights",
                where="combine",
                expected="one weight for each adapter",
            )
        current = self.active
        updates = []
        for one in adapters:
            # An adapter's variables hold their values only while it is active.
            self.activate(one)
            updates.append(self.adapter.updates())
        self.activate(current)
        if any(update.keys() != updates[0].keys() for update in updates):
            raise ConfigError(
                f"{', '.join(adapters)} adapt different places",
                where="combine",
                expected="adapters with the same targets",
            )
        joined = {
            place: combine([one[place] for one in updates], weights, how, rank)
            for place in updates[0]
        }
        method = chosen[0].method.for_updates(joined)
        self.add(name, method)
        for one in self.adapter.injected:
            factors = joined[one.place.name]
            one.layer.lora_a.assign(np.asarray(factors.a, "float32"))
            one.layer.lora_b.assign(np.asarray(factors.b, "float32"))

    def merge(self) -> None:
        """Adds the active adapter's updates to the base weights.

        Raises:
            ConfigError: When already merged, or when the method cannot be merged.
        """
        self.adapter.merge()

    def unmerge(self) -> None:
        """Removes the updates from the base weights again, exactly.

        Raises:
            ConfigError: When nothing is merged.
        """
        self.adapter.unmerge()

    @contextlib.contextmanager
    def disable(self) -> Iterator[None]:
        """Switches the active adapter off inside a `with` block.

        Raises:
            ConfigError: When the method is not reversible.
        """
        with self.adapter.disable():
            yield

    def unload(self) -> Any:
        """Removes all adapters; merged updates stay in the weights.

        Returns:
            The plain KerasHub backbone, trainable.
        """
        for name in [name for name in self.names if name != self.active]:
            self.delete(name)
        return self.adapter.unload()


def _checked(name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"adapter name {shorten(name)}",
            expected="1 to 64 letters, digits, _ or -",
            fix="choose another name",
        )
    return name
