"""The tokenizer settings of a model folder, apart from the vocabulary.

The files are merged as in transformers: `tokenizer_config.json`, and for folders from
before version 4.34 also `special_tokens_map.json` and `added_tokens.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfft.core.errors import DataError, shorten
from tfft.core.model_config import read_config
from tfft.core.model_folder import file_in

if TYPE_CHECKING:
    from tokenizers import AddedToken

CONFIG = "tokenizer_config.json"
_MAP, _ADDED = "special_tokens_map.json", "added_tokens.json"
_NO_LIMIT = 2**31
_FLAGS = ("lstrip", "rstrip", "normalized", "single_word", "special")


class Settings(NamedTuple):
    """The settings in a folder's tokenizer files.

    Attributes:
        options: The content of `tokenizer_config.json`.
        named: The tokens by role, such as `bos`; None where a file says null.
        extra: Further special tokens.
        added: Tokens added to the vocabulary, in the order of their ids.
    """

    options: Mapping[str, Any]
    named: Mapping[str, AddedToken | None]
    extra: tuple[AddedToken, ...]
    added: tuple[AddedToken, ...]


def read_settings(folder: Path, in_file: Sequence[Mapping[str, Any]] = ()) -> Settings:
    """Returns the settings of a model folder, empty if it has no such file.

    Args:
        folder: The model folder.
        in_file: The added tokens of its `tokenizer.json`.

    Raises:
        DataError: When a file or a token in it is unusable.
    """
    options = read_optional(folder, CONFIG)
    listed = "added_tokens_decoder" in options
    extra = in_config = options.get("extra_special_tokens") or options.get(
        "additional_special_tokens"
    )
    values = {**options}
    if not listed:
        legacy = read_optional(folder, _MAP)
        values.update(legacy)
        extra = _legacy_extra(extra, legacy)
    named, extra = _named(values), extra or ()
    if isinstance(extra, Mapping):  # a model with its own kinds of tokens
        named |= {
            name.removesuffix("_token"): _token(value) for name, value in extra.items()
        }
        extra = ()
    extra = tuple(_token(value) for value in _items(extra, "extra_special_tokens"))
    if listed:
        added = _listed(options["added_tokens_decoder"])
    else:
        added = _legacy_added(read_optional(folder, _ADDED), named, in_config)
        added |= {token["id"]: _token(token, False) for token in in_file}
    known = {token.content: token for token in added.values()}
    named = {
        role: token and known.get(token.content, token) for role, token in named.items()
    }
    return Settings(options, named, extra, tuple(added[one] for one in sorted(added)))


def read_optional(folder: Path, name: str) -> dict[str, Any]:
    """Returns the content of a config file, empty if the folder has none.

    Raises:
        DataError: When it is not a JSON object.
    """
    return read_config(folder, name) if file_in(folder, name) is not None else {}


def flag(options: Mapping[str, Any], key: str, default: bool) -> bool:
    """Returns a switch in `tokenizer_config.json`; null means the default.

    Raises:
        DataError: When it is neither true nor false.
    """
    value = options.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _unusable(f"{key}={shorten(value)}", "true or false")
    return value


def choice(options: Mapping[str, Any], key: str, default: str) -> str:
    """Returns a side (`left` or `right`) named in `tokenizer_config.json`.

    Raises:
        DataError: When it is neither of the two.
    """
    value = options.get(key, default)
    if value not in ("left", "right"):
        raise _unusable(f"{key}={shorten(value)}", "left or right")
    return value


def length(options: Mapping[str, Any]) -> int | None:
    """Returns `model_max_length`, or None if it sets no limit, such as 1e30.

    Raises:
        DataError: When it is not a number of 1 or more.
    """
    value = options.get("model_max_length", options.get("max_len"))
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not value >= 1:
        raise _unusable(f"model_max_length={shorten(value)}", "a number above 0")
    return int(value) if value < _NO_LIMIT else None


def _named(values: Mapping[str, Any]) -> dict[str, AddedToken | None]:
    found: dict[str, AddedToken | None] = {}
    for key, value in values.items():
        role = key.removesuffix("_token")
        if role == key or isinstance(value, bool):
            continue
        if value is None or isinstance(value, str | dict):
            found[role] = None if value is None else _token(value)
    return found


def _legacy_extra(extra: Any, legacy: Mapping[str, Any]) -> Any:
    """Returns the further special tokens, with those of `special_tokens_map.json`."""
    more = legacy.get("extra_special_tokens")
    if isinstance(more, list) and not isinstance(extra, Mapping):
        return [*_items(extra or (), "extra_special_tokens"), *more]
    return more or extra or legacy.get("additional_special_tokens")


def _legacy_added(
    ids: Mapping[str, Any], named: Mapping[str, AddedToken | None], extra: Any
) -> dict[int, AddedToken]:
    """Returns the tokens of `added_tokens.json`, which gives no details about them."""
    from tokenizers import AddedToken

    special = {token.content for token in named.values() if token is not None}
    special |= {_token(value).content for value in _items(extra or (), "special")}
    for token, index in ids.items():
        if isinstance(index, bool) or not isinstance(index, int) or index < 0:
            raise DataError(
                f"the id of {shorten(token)} is {shorten(index)}",
                where=_ADDED,
                expected="a whole number",
                fix="download the tokenizer files again",
            )
    return {
        index: AddedToken(
            token, normalized=token not in special, special=token in special
        )
        for token, index in ids.items()
    }


def _listed(decoder: Any) -> dict[int, AddedToken]:
    if not isinstance(decoder, dict) or not all(
        index.isascii() and index.isdigit() and len(index) < 10 for index in decoder
    ):
        raise _unusable(
            f"added_tokens_decoder={shorten(decoder)}", "an object of ids and tokens"
        )
    return {int(index): _token(token, False) for index, token in decoder.items()}


def _items(values: Any, key: str) -> Iterable[Any]:
    if not isinstance(values, list | tuple | dict):
        raise _unusable(f"{key}={shorten(values)}", "a list of tokens")
    return values


def _token(value: Any, special: bool = True) -> AddedToken:
    """Returns a token from its spelling or its description in a file.

    Args:
        value: Text, or an object with `content`.
        special: Whether it is a special token, if the file does not say.
    """
    from tokenizers import AddedToken

    if isinstance(value, str):
        return AddedToken(value, special=True)
    if not isinstance(value, dict) or not isinstance(value.get("content"), str):
        raise _unusable(f"token {shorten(value)}", "text, or an object with content")
    flags = {name: flag(value, name, False) for name in _FLAGS if name in value}
    return AddedToken(value["content"], **{"special": special, **flags})


def _unusable(what: str, expected: str) -> DataError:
    return DataError(
        what,
        where=CONFIG,
        expected=expected,
        fix="download the tokenizer files again",
    )
