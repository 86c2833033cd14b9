"""Makes a virtual environment for each peer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PEERS = ("tfft", "keras_hub", "torch")
_STAMP = "installed.txt"


def python_of(peer: str, cache: Path) -> Path:
    """Returns the interpreter of a peer; makes its environment if it is missing.

    Args:
        peer: One of `PEERS`.
        cache: The folder of the environments.
    """
    folder = cache / peer
    python = folder / "bin" / "python"
    path = Path(__file__).parent / "requirements" / f"{peer}.txt"
    wanted = path.read_text()
    own = ["--editable", str(ROOT)] if peer == "tfft" else []
    if own:
        wanted += (ROOT / "pyproject.toml").read_text()
    stamp = folder / _STAMP
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    print(f"installing {peer} into {folder} (this takes minutes)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", path, *own], check=True)
    stamp.write_text(wanted)
    return python
