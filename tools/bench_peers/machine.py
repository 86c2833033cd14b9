"""Describes the machine that the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

# The processor's instructions for products of bfloat16 and float32.
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")


def describe() -> dict[str, object]:
    """Returns the processor, flags, memory, GPU and system."""
    info = _fields(Path("/proc/cpuinfo"))
    flags = info.get("flags", "").split()
    memory = _fields(Path("/proc/meminfo")).get("MemTotal", "0 kB").split()[0]
    return {
        "processor": info.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "memory_gb": round(int(memory) / 1e6, 1),
        "gpu": _gpu(),
        "system": platform.platform(),
    }


def multiplies_bfloat16() -> bool:
    """Returns whether the processor has bfloat16, which tfft then trains in."""
    flags = _fields(Path("/proc/cpuinfo")).get("flags", "").split()
    return not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags)


def _fields(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs = (line.split(":", 1) for line in path.read_text().splitlines())
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _gpu() -> str:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "none"
