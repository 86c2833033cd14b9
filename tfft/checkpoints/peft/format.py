"""The interface of a PEFT adapter type: a tfft method and its stored form."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from tfft.checkpoints.peft.folder import Folder
from tfft.checkpoints.peft.modules import Module
from tfft.checkpoints.peft.rules import Rules
from tfft.core.registry import Registry
from tfft.methods.adapter import Adapter, Injected
from tfft.methods.method import Method

PEFT_FORMATS = Registry("PEFT adapter type", "tfft.checkpoints.peft")

Pairs = list[tuple[Any, np.ndarray]]
Tensors = Mapping[str, Mapping[str, np.ndarray]]


class PeftFormat(abc.ABC):
    """One type of PEFT adapter.

    Attributes:
        name: PEFT's `peft_type`.
        method: The class of tfft's method.
        endings: The ends of the names of a module's tensors.
        not_implemented: Config fields that change the computation, each with its
            harmless values.
        unmergeable: Those of these fields whose adapters PEFT cannot merge.
    """

    name: ClassVar[str]
    method: ClassVar[type[Method]]
    endings: ClassVar[tuple[str, ...]]
    not_implemented: ClassVar[Mapping[str, Sequence[Any]]] = {}
    unmergeable: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def tensors(self, adapter: Adapter) -> dict[str, np.ndarray]:
        """Returns the tensors of the adapted modules, without a prefix.

        Raises:
            ConfigError: For an adapter that PEFT's format cannot express.
        """

    @abc.abstractmethod
    def config(self, adapter: Adapter) -> dict[str, Any]:
        """Returns the config fields that belong to this type."""

    @abc.abstractmethod
    def read(
        self,
        folder: Folder,
        rules: Rules,
        backbone: Any,
        modules: Mapping[str, Module],
        adapted: Tensors,
    ) -> tuple[Method, Tensors]:
        """Returns the method of a folder and its tensors, after checking them.

        Args:
            folder: The folder.
            rules: The patterns of its config.
            backbone: The backbone, which is not changed.
            modules: The modules that can be adapted.
            adapted: The tensors of each adapted module, by ending.

        Raises:
            DataError: For an unusable config, or tensors that do not fit.
        """

    @abc.abstractmethod
    def differences(self, ours: Adapter, theirs: Method) -> list[str]:
        """Returns how the computation of a folder differs from an adapter's."""

    @abc.abstractmethod
    def values(
        self,
        adapter: Adapter,
        modules: Mapping[str, Module],
        adapted: Tensors,
    ) -> Pairs:
        """Returns the adapter's variables with their values from the tensors."""


def by_module(adapter: Adapter) -> dict[str, list[Injected]]:
    """Returns the layers of an adapter by PyTorch's module, parts in order."""
    grouped: dict[str, list[Injected]] = {}
    for one in adapter.injected:
        grouped.setdefault(one.place.theirs, []).append(one)
    return {
        name: sorted(ones, key=lambda one: one.place.share.index)
        for name, ones in grouped.items()
    }


def format_of(method: Method) -> PeftFormat | None:
    """Returns the format for a method, or None if PEFT has none."""
    for name in PEFT_FORMATS.names():
        kind = PEFT_FORMATS.get(name)
        if kind.method is type(method):
            return kind()
    return None
