"""Fixes for a name or a folder that is not a model."""

from __future__ import annotations

import re
from pathlib import Path

_OWNER_AND_NAME = re.compile(r"[A-Za-z0-9][\w-]*/([A-Za-z0-9][\w.-]*)")
_SAVED_MODEL = (
    "a SavedModel cannot be trained: give the base model, or a folder that "
    "run.export_huggingface wrote"
)
# By the file that shows what kind of folder it is.
_READERS = {
    "adapter_config.json": "give the base model, and load this PEFT adapter with "
    "tfft.load_adapter",
    "tfft_adapter.json": "give the base model, and load this adapter with "
    "tfft.load_adapter",
    "run.json": "load this run with tfft.load, or write it as a model folder with "
    "run.export_huggingface",
    "saved_model.pb": _SAVED_MODEL,
    "*/saved_model.pb": _SAVED_MODEL,
}


def fix_for_folder(folder: Path) -> str:
    """Returns the fix for a folder without a model config."""
    for pattern, fix in _READERS.items():
        if any(folder.glob(pattern)):
            return fix
    return "give the folder that save_pretrained or save_to_preset wrote"


def fix_for_name(name: str) -> str:
    """Returns the fix for a name that is neither a folder nor a preset.

    >>> fix_for_name("./models/bert")
    'check the path'
    >>> fix_for_name("google-bert/bert-base-uncased").split("first: ")[1]
    'hf download google-bert/bert-base-uncased --local-dir bert-base-uncased'
    """
    match = _OWNER_AND_NAME.fullmatch(name)
    if not match:
        return "check the path"
    return (
        "check the path; download a model of the Hugging Face Hub first: "
        f"hf download {name} --local-dir {match[1]}"
    )
