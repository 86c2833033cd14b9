"""Rebuilds the folders under tests/goldens/.

They come from torch, transformers and peft, which tfft itself does not need, so this
runs in its own virtual environment:

    python3 -m venv build/goldens-venv
    build/goldens-venv/bin/pip install -r tools/goldens/requirements.txt
    build/goldens-venv/bin/python tools/make_goldens.py [NAME …]
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import shutil
import sys
from pathlib import Path

import goldens
import torch

ROOT = Path(__file__).resolve().parent.parent / "tests" / "goldens"


def main(names: list[str]) -> int:
    """Makes the named goldens, or all of them."""
    for module in pkgutil.iter_modules(goldens.__path__):
        importlib.import_module(f"goldens.{module.name}")
    unknown = sorted(set(names) - set(goldens.GOLDENS))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(goldens.GOLDENS)}")
        return 2
    for name in names or goldens.GOLDENS:
        folder = ROOT / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        torch.manual_seed(0)  # for PEFT's own random draws
        goldens.GOLDENS[name](folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{name:24} {size:>9,} bytes")
    if not names:
        text = json.dumps(goldens.versions(), indent=2)
        (ROOT / "versions.json").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # PEFT keeps target modules in a set: its order decides the random draws.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    sys.exit(main(sys.argv[1:]))
