"""PEFT's format for LoRA, rsLoRA and DoRA."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from tfft.checkpoints.peft.folder import Folder
from tfft.checkpoints.peft.format import (
    PEFT_FORMATS,
    Pairs,
    PeftFormat,
    Tensors,
    by_module,
)
from tfft.checkpoints.peft.lora_starts import (
    in_file,
    rank_in_file,
    start_of,
    with_start,
)
from tfft.checkpoints.peft.lora_tensors import A, B, Kept, M, kept, values
from tfft.checkpoints.peft.modules import Module, modules_of, refuse
from tfft.checkpoints.peft.rules import Rules
from tfft.compute.layers import layers_by_path
from tfft.core.errors import shorten
from tfft.methods.adapter import Adapter
from tfft.methods.lora import LARGEST_RANK, LoRA

_MOST_PATTERNS = 5000  # more than any model has modules


@PEFT_FORMATS.register("LORA")
class LoRAFormat(PeftFormat):
    """A of shape (rank, in) and B of shape (out, rank), in float32."""

    method = LoRA
    endings = (A, B, M)
    not_implemented: ClassVar = {
        "alora_invocation_tokens": ([],),
        "arrow_config": ({},),
        "kasa_config": ({},),
        "layer_replication": ([],),
        "lora_bias": (False,),
        "monteclora_config": ({},),
        "target_parameters": ([],),
        "trainable_token_indices": ([], {}),
        "use_bdlora": (False, {}),
        "use_qalora": (False,),
        "velora_config": ({},),
    }
    unmergeable = ("alora_invocation_tokens", "arrow_config", "layer_replication")

    def tensors(self, adapter: Adapter) -> dict[str, np.ndarray]:
        """Returns A, B and magnitudes by module.

        Raises:
            ConfigError: For DoRA on parts of a fused module.
        """
        return {
            f"{name}.{ending}": value
            for name, one in self._kept(adapter).items()
            for ending, value in one.tensors.items()
        }

    def _kept(self, adapter: Adapter) -> dict[str, Kept]:
        modules = modules_of(adapter.backbone, adapter.architecture)
        return {
            name: kept(modules[name], ones) for name, ones in by_module(adapter).items()
        }

    def config(self, adapter: Adapter) -> dict[str, Any]:
        """Returns LoraConfig's fields."""
        method: LoRA = adapter.method
        every = self._kept(adapter)
        rank = Counter(one.rank for one in every.values()).most_common(1)[0][0]
        alpha = Counter(one.alpha for one in every.values()).most_common(1)[0][0]
        return {
            "alpha_pattern": {n: o.alpha for n, o in every.items() if o.alpha != alpha},
            "bias": method.bias,
            "fan_in_fan_out": any(
                layout == "in_out"
                for one in adapter.injected
                for _, _, layout in one.place.variables
            ),
            "lora_alpha": alpha,
            "lora_dropout": method.dropout,
            "r": rank,
            "rank_pattern": {n: o.rank for n, o in every.items() if o.rank != rank},
            "use_dora": method.use_dora,
            "use_rslora": method.use_rslora,
        }

    def read(
        self,
        folder: Folder,
        rules: Rules,
        backbone: Any,
        modules: Mapping[str, Module],
        adapted: Tensors,
    ) -> tuple[LoRA, Tensors]:
        """Returns the LoRA method of a folder and its tensors, after checking them.

        Raises:
            DataError: For an unusable config, or tensors that do not fit.
        """
        from tfft.methods.layers.lora import scale_of

        start = start_of(folder)
        rank = folder.number("r", 8, 1, LARGEST_RANK)
        alpha = folder.number("lora_alpha", 8, 1e-6, 1e9)
        ranks = _by_pattern(rules, "rank_pattern", adapted, rank, 1, LARGEST_RANK)
        alphas = _by_pattern(rules, "alpha_pattern", adapted, alpha, 1e-6, 1e9)
        use_dora = folder.flag("use_dora")
        bias = folder.config.get("bias", "none")
        if bias not in ("none", "all", "lora_only"):
            raise folder.error(f"bias={bias!r}", expected="none, all or lora_only")
        problems = [
            problem
            for name, tensors in adapted.items()
            for problem in _problems_of(
                modules[name],
                tensors,
                rank_in_file(start, ranks[name], modules[name]),
                use_dora,
            )
        ]
        refuse(folder, problems)
        method = LoRA(
            rank=rank,
            alpha=alpha,
            dropout=folder.number("lora_dropout", 0.0, 0, 0.999),
            target=tuple(adapted),
            rank_pattern={n: value for n, value in ranks.items() if value != rank},
            alpha_pattern={n: value for n, value in alphas.items() if value != alpha},
            bias=bias,
            use_rslora=folder.flag("use_rslora"),
            use_dora=use_dora,
            initialization=start,
        )
        scales = {
            name: scale_of(ranks[name], alphas[name], method.use_rslora)
            for name in adapted
        }
        layers = layers_by_path(backbone)
        tensors = {
            name: with_start(start, modules[name], layers, one, ranks[name], scale)
            for (name, one), scale in zip(adapted.items(), scales.values(), strict=True)
        }
        return method, tensors

    def differences(self, ours: Adapter, theirs: LoRA) -> list[str]:
        """Returns how the computation of a folder differs from an adapter's."""
        mine = self.config(ours)
        found = {
            "use_rslora": theirs.use_rslora,
            "use_dora": theirs.use_dora,
            **in_file(theirs),
        }
        return [
            f"{key}={value} in the folder, {key}={mine[key]} in the method"
            for key, value in found.items()
            if mine[key] != value
        ]

    def values(
        self,
        adapter: Adapter,
        modules: Mapping[str, Module],
        adapted: Tensors,
    ) -> Pairs:
        """Returns the variables A, B and magnitude with their values."""
        return [
            pair
            for name, ones in by_module(adapter).items()
            for pair in values(modules[name], ones, adapted[name])
        ]


def _by_pattern(
    rules: Rules,
    key: str,
    names: Iterable[str],
    default: float,
    low: float,
    high: float,
) -> dict[str, Any]:
    """Returns a number for each module, from the first pattern that matches it."""
    folder = rules.folder
    patterns = folder.config.get(key) or {}
    if not isinstance(patterns, dict) or len(patterns) > _MOST_PATTERNS:
        raise folder.error(
            f"{key}={shorten(patterns)}",
            expected=f"an object with at most {_MOST_PATTERNS} numbers by pattern",
        )
    for pattern, value in patterns.items():
        folder.checked_number(f"{key}[{pattern!r}]", value, low, high)
    found = {name: rules.value(key, patterns, name) for name in names}
    return {n: default if value is None else value for n, value in found.items()}


def _problems_of(
    module: Module, tensors: Mapping[str, np.ndarray], rank: int, use_dora: bool
) -> list[str]:
    """Returns the reasons why tensors do not fit a module."""
    inputs, outputs = module.shape
    expected = {A: (rank, inputs), B: (outputs, rank)}
    if use_dora:
        expected[M] = (outputs,)
    problems = [
        f"{module.name}.{ending} is missing"
        for ending in expected
        if ending not in tensors
    ]
    for ending, value in tensors.items():
        if ending not in expected:
            problems.append(f"{module.name}.{ending} is not known")
        elif ending == A and value.ndim == 2 and len(value) != rank:
            problems.append(
                f"{module.name}.{ending} has rank {len(value)}, not r={rank}"
            )
        elif value.shape != expected[ending]:
            problems.append(
                f"{module.name}.{ending} has shape {value.shape}, "
                f"not {expected[ending]}"
            )
    return problems
