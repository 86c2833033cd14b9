"""Chooses precision and compilation for the machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tfft.training.names import Precision

_BFLOAT16_CAPABILITY, _FLOAT16_CAPABILITY = (8, 0), (7, 0)


def devices() -> tuple[list[Any], list[Any]]:
    """Returns the GPUs and the TPUs that TensorFlow sees."""
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU"), tf.config.list_physical_devices(
        "TPU"
    )


def choose_precision(precision: Precision) -> str:
    """Returns the dtype policy for training.

    Args:
        precision: "auto" chooses bfloat16 on hardware that multiplies it: TPUs, GPUs
            from compute capability 8.0, CPUs with AMX or AVX512-BF16. On a CPU with
            AMX a step takes half the time of float32. GPUs from 7.0 get float16 with a
            loss scale.
    """
    if precision != "auto":
        return precision
    gpus, tpus = devices()
    if tpus:
        return "mixed_bfloat16"
    if gpus:
        return _choose_for_gpus(gpus)
    has_bfloat16 = cpu_flags() & {"amx_bf16", "avx512_bf16"}
    return "mixed_bfloat16" if has_bfloat16 else "float32"


def _choose_for_gpus(gpus: list[Any]) -> str:
    import tensorflow as tf

    details = (tf.config.experimental.get_device_details(gpu) for gpu in gpus)
    weakest = min(one.get("compute_capability", (0, 0)) for one in details)
    if weakest >= _BFLOAT16_CAPABILITY:
        return "mixed_bfloat16"
    return "mixed_float16" if weakest >= _FLOAT16_CAPABILITY else "float32"


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Returns the feature flags of the first CPU; empty if the file does not exist."""
    if not path.is_file():
        return set()
    for line in path.read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def choose_compilation(compile_step: bool | None) -> bool:
    """Returns whether XLA compiles the train step.

    Args:
        compile_step: None compiles on GPUs and TPUs only. On CPUs a step compiled by
            XLA takes 1.35 (float32) to 1.8 (bfloat16) times as long.
    """
    if compile_step is not None:
        return compile_step
    gpus, tpus = devices()
    return bool(gpus or tpus)


def describe() -> str:
    """Returns a description of the devices."""
    gpus, tpus = devices()
    if tpus:
        return f"{len(tpus)} TPU cores"
    if gpus:
        return f"{len(gpus)} GPU" + "s" * (len(gpus) > 1)
    return f"CPU, {os.cpu_count()} cores"
