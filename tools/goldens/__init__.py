"""Small random models of other libraries, with their outputs.

Each golden is a folder under `tests/goldens/`: a checkpoint as the library writes it,
and `reference.safetensors` with inputs (`input.*`) and outputs (`output.*`). The
modules of this package add goldens with the decorator `golden`; `tools/make_goldens.py`
runs all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

GOLDENS: dict[str, Callable[[Path], None]] = {}


def golden(name: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Returns a decorator that registers a function that fills a golden's folder."""

    def enter(make: Callable[[Path], None]) -> Callable[[Path], None]:
        if GOLDENS.setdefault(name, make) is not make:
            raise ValueError(f"golden {name!r} is defined twice")
        return make

    return enter


def versions() -> dict[str, str]:
    """Returns the versions of the libraries used."""
    import peft
    import tokenizers
    import transformers

    modules = (torch, transformers, peft, tokenizers)
    return {module.__name__: module.__version__ for module in modules}


def randomise(model: Any, seed: int = 0, spread: float = 0.25) -> Any:
    """Gives every parameter a random value; zeros and ones would hide errors."""
    generator = torch.Generator().manual_seed(seed)
    seen: set[int] = set()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.data_ptr() in seen:
                continue
            seen.add(parameter.data_ptr())
            noise = torch.randn(parameter.shape, generator=generator) * spread
            is_norm = parameter.dim() == 1 and name.endswith("weight")
            parameter.copy_(1 + noise if is_norm else noise)
    return model.eval()


def ids_and_mask(
    vocabulary: int, rows: int = 3, length: int = 11, seed: int = 1, low: int = 5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns random ids, and a mask that pads the ends of all rows but the first."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(low, vocabulary, (rows, length), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(1, rows):
        mask[row, length - 2 * row :] = 0
    return ids, mask


def save_reference(
    folder: Path, inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> None:
    """Writes inputs and outputs, float32 or int32, with the versions in the header."""
    arrays = {}
    for kind, values in (("input", inputs), ("output", outputs)):
        for name, value in values.items():
            array = np.asarray(value.detach() if hasattr(value, "detach") else value)
            whole = array.dtype.kind in "iub"
            array = array.astype("int32" if whole else "float32")
            arrays[f"{kind}.{name}"] = np.ascontiguousarray(array)
    # A single key, because safetensors writes several in varying order.
    stamp = ", ".join(f"{name} {version}" for name, version in versions().items())
    path = folder / "reference.safetensors"
    save_file(arrays, path, metadata={"versions": stamp})
