"""Folders that other libraries or an older tfft wrote, with the results they gave."""

from pathlib import Path

from safetensors.numpy import load_file

ROOT = Path(__file__).parent


def golden(name):
    """Returns the folder of a golden, its inputs and its outputs, by name."""
    arrays = load_file(ROOT / name / "reference.safetensors")
    inputs, outputs = (
        {key.removeprefix(kind): value for key, value in arrays.items() if kind in key}
        for kind in ("input.", "output.")
    )
    return ROOT / name, inputs, outputs
