"""Describes where `tokenizer.json` and `tokenizer_config.json` disagree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfft.core.errors import shorten

if TYPE_CHECKING:
    import tokenizers

# Apart from these, the model of a tokenizer is its vocabulary.
_VOCABULARY = ("vocab", "merges")
# Has no influence on ids.
_OFFSETS = "trim_offsets"
_FEW, _WIDTH = 3, 60


def differences(
    rules: Mapping[str, Any], library: tokenizers.Tokenizer, name: str
) -> list[str]:
    """Returns a note on the rules of `tokenizer.json` that the class does not follow.

    Args:
        rules: The content of `tokenizer.json`.
        library: The tokenizer that the class built from the vocabulary.
        name: The class.
    """
    ours = json.loads(library.to_str())
    found = []
    for part in ("normalizer", "pre_tokenizer", "model"):
        found += _differences(part, _plain(rules[part]), _plain(ours[part]))
    if not found:
        return []
    return [
        f"tokenizer.json is not followed where {name} decides, as in transformers 5: "
        + "; ".join(found)
        + " (see Tokenizers in docs/models.md)"
    ]


def _differences(part: str, theirs: Any, used: Any) -> list[str]:
    if theirs == used:
        return []
    if not theirs or not used or theirs["type"] != used["type"] != "Sequence":
        return [f"{part} is {_summary(used)}, not {_summary(theirs)}"]
    return [
        f"{part}.{key} is {json.dumps(used.get(key))}, "
        f"not {json.dumps(theirs.get(key))[:_WIDTH]}"
        for key in sorted({*theirs, *used})
        if theirs.get(key) != used.get(key)
    ]


def _plain(part: Any) -> Any:
    """Returns a part of the rules without the entries that have no effect."""
    if isinstance(part, list):
        return [_plain(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _plain(value)
        for key, value in part.items()
        if key not in (*_VOCABULARY, _OFFSETS) and value not in ("", None)
    }


def _summary(part: Any) -> str:
    if not part:
        return "none"
    inner = part.get("normalizers") or part.get("pretokenizers") or []
    names = ", ".join(one["type"] for one in inner)
    return f"{part['type']} ({names})" if names else part["type"]


def lost_tokens(rules: Mapping[str, Any], library: tokenizers.Tokenizer) -> list[str]:
    """Returns a note on added tokens of `tokenizer.json` that transformers drops."""
    spelled = [token["content"] for token in rules["added_tokens"]]
    lost = [one for one in spelled if library.token_to_id(one) is None]
    if not lost:
        return []
    names = ", ".join(map(shorten, lost[:_FEW])) + ", …" * (len(lost) > _FEW)
    return [
        f"{len(lost)} added tokens of tokenizer.json are missing from "
        f"added_tokens_decoder in tokenizer_config.json and are ignored, as in "
        f"transformers: {names}"
    ]


def ignored_options(
    library: tokenizers.Tokenizer, roles: Mapping[str, str], options: Mapping[str, Any]
) -> list[str]:
    """Returns notes on options that have no effect next to a `tokenizer.json`."""
    around = library.encode("").tokens
    rules = json.loads(library.to_str())
    lowercases = _values(rules["normalizer"], "lowercase") or [
        _mentions(rules["normalizer"], "Lowercase")
    ]
    spaces = _values(rules["pre_tokenizer"], "add_prefix_space") + [
        scheme != "never"
        for scheme in _values(rules["pre_tokenizer"], "prepend_scheme")
    ]
    facts = {
        "add_bos_token": roles.get("bos") in around,
        "add_eos_token": roles.get("eos") in around,
        "do_lower_case": any(lowercases),
        "add_prefix_space": any(spaces) or _mentions(rules["normalizer"], "Prepend"),
    }
    return [
        f"{key}={json.dumps(options[key])} in tokenizer_config.json has no effect: "
        "tokenizer.json decides, as in transformers"
        for key, fact in facts.items()
        if isinstance(options.get(key), bool) and options[key] != fact
    ]


def _values(part: Any, key: str) -> list[Any]:
    """Returns all values of a key in a part of the rules."""
    if isinstance(part, list):
        return [value for one in part for value in _values(one, key)]
    if not isinstance(part, dict):
        return []
    own = [part[key]] if key in part else []
    return own + [value for one in part.values() for value in _values(one, key)]


def _mentions(part: Any, kind: str) -> bool:
    return kind in _values(part, "type")
