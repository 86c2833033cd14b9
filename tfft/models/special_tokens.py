"""Which tokens of a vocabulary play which part, such as the end of a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.models.configuration import read_config

if TYPE_CHECKING:
    import tokenizers

ROLES = ("bos", "eos", "pad", "cls", "sep", "mask", "unk")
_FILES = ("tokenizer_config.json", "special_tokens_map.json")
# How well-known families spell them, for folders that do not say.
_SPELLINGS = {
    "bos": ("<s>", "<|begin_of_text|>", "<|endoftext|>"),
    "eos": ("</s>", "<|end_of_text|>", "<|endoftext|>"),
    "pad": ("[PAD]", "<pad>"),
    "cls": ("[CLS]",),
    "sep": ("[SEP]",),
    "mask": ("[MASK]", "<mask>"),
    "unk": ("[UNK]", "<unk>"),
}


def read_roles(folder: Path, library: tokenizers.Tokenizer) -> dict[str, str]:
    """Returns the token of each role that a model folder names.

    What the tokenizer's own files say counts first, then the ids in `config.json`,
    then the spellings of well-known families.
    """
    roles = usual_roles(library)
    if (folder / "config.json").is_file():
        config = read_config(folder)
        for role in ROLES:
            token = _token_of(library, config.get(f"{role}_token_id"))
            if token is not None:
                roles[role] = token
    for name in reversed(_FILES):
        if (folder / name).is_file():
            roles.update(_named_roles(read_config(folder, name)))
    return {
        role: token
        for role, token in roles.items()
        if library.token_to_id(token) is not None
    }


def usual_roles(library: tokenizers.Tokenizer) -> dict[str, str]:
    """Returns the roles by the spellings of well-known families."""
    found = {}
    for role, spellings in _SPELLINGS.items():
        known = [one for one in spellings if library.token_to_id(one) is not None]
        if known:
            found[role] = known[0]
    return found


def _token_of(library: tokenizers.Tokenizer, index: Any) -> str | None:
    """Returns the token of an id, or of the first of several."""
    if isinstance(index, list) and index:
        index = index[0]
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        return None
    return library.id_to_token(index) if index < 2**31 else None


def _named_roles(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns the roles a file names; one that is null there has no token, so ""."""
    roles = {}
    for role in ROLES:
        token = config.get(f"{role}_token", 0)
        if isinstance(token, dict):
            token = token.get("content")
        if isinstance(token, str) or token is None:
            roles[role] = token or ""
    return roles
