"""Finds the transformers class for the tokenizer of a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfft.core.errors import DataError, shorten
from tfft.models.architecture import ARCHITECTURES, Architecture
from tfft.text.tokenizer_settings import CONFIG


def family_of(config: Mapping[str, Any]) -> Architecture | None:
    """Returns the architecture that `config.json` names, if tfft knows it."""
    name = config.get("model_type")
    if not isinstance(name, str) or name not in ARCHITECTURES.names():
        return None
    return ARCHITECTURES.get(name)()


def class_of(
    config: Mapping[str, Any], options: Mapping[str, Any], *, byte_level: bool
) -> str:
    """Returns the class that `AutoTokenizer` of transformers 5 chooses.

    Args:
        config: The content of `config.json`; empty if there is none.
        options: The content of `tokenizer_config.json`; empty if there is none.
        byte_level: Whether the folder has a byte-level `tokenizer.json`.

    Returns:
        The class name without `Fast`; empty when neither file names a class.

    Raises:
        DataError: When the name is not a string.

    >>> class_of({"model_type": "bert"}, {}, byte_level=False)
    'BertTokenizer'
    >>> class_of({"model_type": "mistral"}, {"tokenizer_class": "LlamaTokenizer"},
    ...          byte_level=False)
    'TokenizersBackend'
    """
    named = options.get("tokenizer_class") or config.get("tokenizer_class") or ""
    if not isinstance(named, str):
        raise DataError(
            f"tokenizer_class={shorten(named)}",
            where=CONFIG,
            expected="a class name",
            fix="download the tokenizer files again",
        )
    named = named.removesuffix("Fast")
    family = family_of(config)
    if family is not None and (family.one_tokenizer or not named):
        return family.tokenizer_class
    if named == "LlamaTokenizer" and byte_level:
        return "TokenizersBackend"
    return named
