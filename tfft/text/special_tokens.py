"""Finds which token of a vocabulary has which role, such as the end of a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.core.model_config import read_config

if TYPE_CHECKING:
    import tokenizers

ROLES = ("bos", "eos", "pad", "cls", "sep", "mask", "unk")
# The entry of a `tokenizer_config.json` for tokens whose roles no file named. tfft
# always writes it, so it also shows that tfft wrote the folder.
ASSUMED = "assumed_tokens"
# The spellings of well-known families, for folders that name no roles.
_SPELLINGS = {
    "bos": ("<s>", "<|begin_of_text|>", "<|endoftext|>"),
    "eos": ("</s>", "<|end_of_text|>", "<|endoftext|>"),
    "pad": ("[PAD]", "<pad>"),
    "cls": ("[CLS]",),
    "sep": ("[SEP]",),
    "mask": ("[MASK]", "<mask>"),
    "unk": ("[UNK]", "<unk>"),
}


def assumed_roles(
    folder: Path, library: tokenizers.Tokenizer, options: Mapping[str, Any]
) -> dict[str, str]:
    """Returns the token of each role, from `config.json` or from common spellings.

    The ids in `config.json` take precedence over the spellings of well-known families.

    Args:
        folder: A model folder.
        library: Its tokenizer.
        options: The content of its `tokenizer_config.json`. In a run it records what
            was assumed when the run was trained.
    """
    roles = usual_roles(library)
    config = read_config(folder) if (folder / "config.json").is_file() else {}
    for role in ROLES:
        token = _token_of(library, config.get(f"{role}_token_id"))
        if token is not None:
            roles[role] = token
    kept = options.get(ASSUMED)
    if isinstance(kept, dict):
        for role in ROLES:
            token = kept.get(f"{role}_token")
            if isinstance(token, str) and library.token_to_id(token) is not None:
                roles[role] = token
    return roles


def usual_roles(library: tokenizers.Tokenizer) -> dict[str, str]:
    """Returns the roles by the spellings that well-known families use."""
    found = {}
    for role, spellings in _SPELLINGS.items():
        known = [one for one in spellings if library.token_to_id(one) is not None]
        if known:
            found[role] = known[0]
    return found


def _token_of(library: tokenizers.Tokenizer, index: Any) -> str | None:
    """Returns the token of an id, or of the first id of a list."""
    if isinstance(index, list) and index:
        index = index[0]
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        return None
    return library.id_to_token(index) if index < 2**31 else None
