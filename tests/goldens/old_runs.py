"""Describes the processor and the libraries on which numbers were computed."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

# Vector instructions: TensorFlow, Eigen and oneDNN choose their code by these.
_DECIDING = ("avx", "amx", "fma", "f16c", "sse4", "asimd", "sve", "bf16")
_SWITCHES = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA")
_LIBRARIES = ("tensorflow", "keras", "keras-hub", "numpy")


def processor() -> dict[str, object]:
    """Returns all that decides the last bits of a result.

    The number of cores does not: for matrices as small as a golden's no sum is split
    between threads, and one core gives the bits of two.
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in named.items()}
    flags = (named.get("flags") or named.get("Features") or "").split()
    return {
        "machine": platform.machine(),
        "vendor": named.get("vendor_id", platform.processor()),
        "instructions": sorted(one for one in flags if one.startswith(_DECIDING)),
        "oneDNN": {name: os.environ.get(name) for name in _SWITCHES},
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
