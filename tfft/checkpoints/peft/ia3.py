"""PEFT's format for IA3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfft.checkpoints.peft.folder import Folder
from tfft.checkpoints.peft.format import (
    PEFT_FORMATS,
    Pairs,
    PeftFormat,
    Tensors,
    by_module,
)
from tfft.checkpoints.peft.modules import Module, modules_of, refuse
from tfft.checkpoints.peft.rules import Rules
from tfft.core.errors import ConfigError
from tfft.methods.adapter import Adapter
from tfft.methods.ia3 import IA3
from tfft.models.architecture import architecture_of

_L = "ia3_l"


@PEFT_FORMATS.register("IA3")
class IA3Format(PeftFormat):
    """Factors of shape (out, 1), or (1, in) for layers whose inputs are scaled."""

    method = IA3
    endings = (_L,)

    def tensors(self, adapter: Adapter) -> dict[str, np.ndarray]:
        """Returns the factors by module. Unadapted parts of a fused module get ones.

        Raises:
            ConfigError: For factors on the inputs of a part of a fused module.
        """
        modules = modules_of(adapter.backbone, adapter.architecture)
        found = {}
        for name, ones in by_module(adapter).items():
            inputs, outputs = modules[name].shape
            if ones[0].layer.on_inputs:
                if len(modules[name].places) > 1:
                    raise ConfigError(
                        f"factors on the inputs of {ones[0].place.name}",
                        where="save",
                        expected="factors on the outputs of a part of a fused matrix",
                    )
                value = np.array(ones[0].layer.factors).reshape(1, inputs)
            else:
                value = np.ones((outputs, 1), "float32")
                size = outputs // len(modules[name].places)
                for one in ones:
                    start = one.place.share.index * size
                    value[start : start + size, 0] = np.array(one.layer.factors)
            found[f"{name}.{_L}"] = value
        return found

    def config(self, adapter: Adapter) -> dict[str, Any]:
        """Returns IA3Config's fields."""
        inner = {one.place.theirs for one in adapter.injected if one.layer.on_inputs}
        return {
            "fan_in_fan_out": any(
                layout == "in_out"
                for one in adapter.injected
                for _, _, layout in one.place.variables
            ),
            "feedforward_modules": sorted(inner),
            "init_ia3_weights": True,
        }

    def read(
        self,
        folder: Folder,
        rules: Rules,
        backbone: Any,
        modules: Mapping[str, Module],
        adapted: Tensors,
    ) -> tuple[IA3, Tensors]:
        """Returns the IA3 method of a folder and its tensors, after checking them.

        Raises:
            DataError: For an unusable config, or tensors that do not fit.
        """
        inner = self._on_inputs(folder, rules, backbone, adapted)
        problems = []
        for name, tensors in adapted.items():
            inputs, outputs = modules[name].shape
            expected = (1, inputs) if name in inner else (outputs, 1)
            if tensors[_L].shape != expected:
                shape = tensors[_L].shape
                problems.append(f"{name}.{_L} has shape {shape}, not {expected}")
        refuse(folder, problems)
        return IA3(target=tuple(adapted), feedforward=tuple(inner)), adapted

    def _on_inputs(
        self, folder: Folder, rules: Rules, backbone: Any, adapted: Tensors
    ) -> list[str]:
        """Returns the modules whose inputs are scaled.

        PEFT compares the ends of names here, even inside a word.
        """
        inner = folder.patterns("feedforward_modules")
        if inner is None:
            method, architecture = IA3(), architecture_of(backbone)
            places = method.places(architecture, backbone.num_layers)
            inner = tuple(one.theirs for one in places if method.on_inputs(one))
        if isinstance(inner, str):
            key = "feedforward_modules"
            return [name for name in adapted if rules.matches(key, inner, name)]
        return [n for n in adapted if f"{rules.prefix}{n}".endswith(inner)]

    def differences(self, ours: Adapter, theirs: IA3) -> list[str]:
        """Returns how the computation of a folder differs from an adapter's."""
        mine = self.config(ours)["feedforward_modules"]
        found = sorted(theirs.feedforward)
        if found == mine:
            return []
        return [f"feedforward_modules={found} in the folder, {mine} in the method"]

    def values(
        self,
        adapter: Adapter,
        modules: Mapping[str, Module],
        adapted: Tensors,
    ) -> Pairs:
        """Returns the variables of the factors with their values."""
        pairs: Pairs = []
        for name, ones in by_module(adapter).items():
            flat = adapted[name][_L].astype("float32").reshape(-1)
            for one in ones:
                own = flat
                if not one.layer.on_inputs:
                    own = modules[name].share(flat, one.place, 0)
                pairs.append((one.layer.factors, own))
        return pairs
