"""The initial A and B, and how PEFT changes the base weights for them.

With some values of `init_lora_weights` PEFT subtracts the initial A·B from the base
weights, and does so again whenever it loads the adapter. The file holds only the
trained A and B, so the initial ones have to be recomputed from the base weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from tfft.checkpoints.peft.folder import Folder
from tfft.checkpoints.peft.lora_tensors import A, B
from tfft.checkpoints.peft.modules import Module
from tfft.core.errors import shorten
from tfft.methods.lora import LoRA

Start = Literal["uniform", "pissa"]

# For these PEFT leaves the base weights unchanged.
_PLAIN = ("gaussian", "orthogonal", "eva", "mica")
_CONVERT = (
    "save it with PEFT's path_initial_model_for_weight_conversion, or merge it with "
    "merge_and_unload and load that model"
)
# Why the others cannot be loaded, and the fix.
_CHANGED: dict[str, tuple[str, str]] = {
    "pissa_niter_": (
        "approximates W with new random numbers at each loading",
        _CONVERT,
    ),
    "olora": ("subtracts the initial A·B from the base weights", _CONVERT),
    "corda": ("subtracts an A·B computed from data from the base weights", _CONVERT),
    "lora_ga": (
        "subtracts an A·B computed from gradients from the base weights",
        _CONVERT,
    ),
    "loftq": (
        "quantizes the base weights",
        "merge it with PEFT's merge_and_unload and load that model",
    ),
}


def start_of(folder: Folder) -> Start:
    """Returns the initialization of a folder's LoRA.

    Raises:
        DataError: For one that changes the base weights in a way that tfft cannot
            reproduce.
    """
    given = folder.config.get("init_lora_weights", True)
    if given is None or isinstance(given, bool):
        return "uniform"
    name = given.lower() if isinstance(given, str) else ""
    if name in _PLAIN:
        return "uniform"
    if name == "pissa":
        return "pissa"
    for known, (what, fix) in _CHANGED.items():
        if name == known or (known.endswith("_") and name.startswith(known)):
            raise folder.error(
                f"init_lora_weights={given!r}, which {what}",
                expected=f"true, false, pissa, {', '.join(_PLAIN)}",
                fix=fix,
            )
    raise folder.error(
        f"init_lora_weights={shorten(given)} is not known",
        expected=f"true, false, pissa, {', '.join(_PLAIN)}",
        fix=_CONVERT,
    )


def rank_in_file(start: Start, rank: int, module: Module) -> int:
    """Returns the rank of a module's tensors.

    A matrix has at most as many principal directions as rows or columns, even if r is
    higher.
    """
    return min(rank, *module.shape) if start == "pissa" else rank


def with_start(
    start: Start,
    module: Module,
    layers: Mapping[str, Any],
    tensors: Mapping[str, np.ndarray],
    rank: int,
    scale: float,
) -> Mapping[str, np.ndarray]:
    """Returns a module's tensors with the initial A and B, as tfft stores them.

    Args:
        start: The initialization.
        module: The module.
        layers: The backbone's layers by path.
        tensors: A, B and magnitudes as PEFT wrote them.
        rank: The rank in the config.
        scale: The factor of the update.
    """
    from tfft.methods.layers.lora_starts import principal

    if start == "uniform":
        return tensors
    first_a, first_b = principal(module.kernel(layers), rank, scale)
    missing = rank - len(tensors[A])
    a = np.pad(tensors[A].astype("float32"), ((0, missing), (0, 0)))
    b = np.pad(tensors[B].astype("float32"), ((0, 0), (0, missing)))
    both = {
        A: np.concatenate([a, first_a.T]),
        B: np.concatenate([b, -first_b.T], axis=1),
    }
    return {**tensors, **both}


def in_file(method: LoRA) -> dict[str, Any]:
    """Returns ranks and alphas as tfft writes them for a method.

    With PiSSA the initial A and B are stored too, which doubles the rank.
    """
    times = 2 if method.initialization == "pissa" else 1
    factor = math.sqrt(times) if method.use_rslora else times
    return {
        "r": method.rank * times,
        "lora_alpha": round(method.alpha * factor, 6),
        "rank_pattern": {n: v * times for n, v in method.rank_pattern.items()},
        "alpha_pattern": {
            n: round(v * factor, 6) for n, v in method.alpha_pattern.items()
        },
    }
