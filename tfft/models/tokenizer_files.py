"""Reads the tokenizer of a model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.core.errors import DataError, MissingInputError
from tfft.core.model_folder import file_in
from tfft.models.tokenizer_class import class_of, family_of
from tfft.text.added_tokens import add_tokens, bos_and_eos, one_segment
from tfft.text.chat_template_files import read_chat_template
from tfft.text.conventions import Conventions
from tfft.text.special_tokens import ASSUMED, assumed_roles
from tfft.text.tokenizer import Tokenizer
from tfft.text.tokenizer_kinds import Bert
from tfft.text.tokenizer_notes import ignored_options, lost_tokens
from tfft.text.tokenizer_read import (
    BareTokenizer,
    from_json,
    from_vocabulary,
    named_tokens,
)
from tfft.text.tokenizer_settings import (
    Settings,
    choice,
    length,
    read_optional,
    read_settings,
)

if TYPE_CHECKING:
    import tokenizers
    from tokenizers import AddedToken

_SEGMENTS = "token_type_ids"


def read_tokenizer(folder: str | Path) -> Tokenizer:
    """Returns the tokenizer of a Hugging Face folder, as `AutoTokenizer` reads it.

    Args:
        folder: A folder with `tokenizer.json`, or `vocab.txt`, or `vocab.json` with
            `merges.txt`; optionally also `tokenizer_config.json`,
            `special_tokens_map.json`, `added_tokens.json` and `config.json`.

    Raises:
        MissingInputError: When the folder holds no vocabulary.
        DataError: When a file is not usable.
    """
    folder = Path(folder)
    path = file_in(folder, "tokenizer.json")
    whole = None if path is None else _library(path)
    rules = None if whole is None else json.loads(whole.to_str())
    settings = read_settings(folder, rules["added_tokens"] if rules else ())
    config = read_optional(folder, "config.json")
    name = class_of(config, settings.options, byte_level=_is_byte_level(rules))
    if whole is None or rules is None:
        read = from_vocabulary(folder, settings, name)
    else:
        read = from_json(whole, rules, settings, name)
    return _completed(folder, read, settings, config)


def _completed(
    folder: Path, read: BareTokenizer, settings: Settings, config: Mapping[str, Any]
) -> Tokenizer:
    """Adds the added tokens, roles and chat template to a tokenizer."""
    library, options = read.library, settings.options
    named = named_tokens(read.kind, settings)
    if ASSUMED not in options:  # tfft's own tokenizer.json has all its tokens
        add_tokens(library, settings, named)
    roles = _in_vocabulary(library, named)
    _put_around(read, roles, options)
    conventions = _conventions(read, options)
    notes = [*read.notes, *_segments(read, conventions, config)]
    if read.rules is not None:
        notes += lost_tokens(read.rules, library) + ignored_options(
            library, roles, options
        )
    assumed = {
        role: token
        for role, token in assumed_roles(folder, library, options).items()
        if role not in named
    }
    template = read_chat_template(folder, roles)
    return Tokenizer(
        library, {**assumed, **roles}, template, conventions, assumed, notes
    )


def _in_vocabulary(
    library: tokenizers.Tokenizer, named: Mapping[str, AddedToken | None]
) -> dict[str, str]:
    return {
        role: token.content
        for role, token in named.items()
        if token is not None and library.token_to_id(token.content) is not None
    }


def _put_around(
    read: BareTokenizer, roles: Mapping[str, str], options: Mapping[str, Any]
) -> None:
    """Sets the tokens around a text, unless `tokenizer.json` already does."""
    library, around = read.library, None
    if read.kind is not None:
        around = read.kind.frame(library, roles, options)
    if around is None and read.rules is None:
        around = bos_and_eos(library, roles, options)
    if around is not None:
        library.post_processor = around


def _conventions(read: BareTokenizer, options: Mapping[str, Any]) -> Conventions:
    """Returns how to truncate and pad; `tokenizer.json` sets the default sides."""
    kind, rules = read.kind, read.rules or {}
    sides = {
        part: str((rules.get(part) or {}).get("direction", default)).lower()
        for part, default in (
            ("truncation", "right"),
            ("padding", "right" if kind is None else kind.padding_side),
        )
    }
    names = options.get("model_input_names") or ()
    return Conventions(
        choice(options, "truncation_side", sides["truncation"]),
        choice(options, "padding_side", sides["padding"]),
        length(options),
        tuple(map(str, names)) if isinstance(names, list) else (),
    )


def _segments(
    read: BareTokenizer, conventions: Conventions, config: Mapping[str, Any]
) -> list[str]:
    """Puts pairs into one segment when transformers passes no segments to the model.

    Returns:
        A note when it does so.
    """
    names, family = conventions.input_names, family_of(config)
    if family is None or "segment_ids" not in family.inputs:
        return []
    gives = (
        _SEGMENTS in names if names else read.kind is not None and read.kind.segments
    )
    if gives or not one_segment(read.library):
        return []
    return [
        f"no {_SEGMENTS} among the inputs of the tokenizer: both texts of a pair are "
        "in segment 0, as in transformers"
    ]


def _library(path: Path) -> tokenizers.Tokenizer:
    import tokenizers

    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise DataError(
            f"not a usable tokenizer: {error}", where=str(path), fix="download it again"
        ) from error


def _is_byte_level(rules: Mapping[str, Any] | None) -> bool:
    parts = {} if rules is None else {**rules, "model": None, "added_tokens": None}
    return '"ByteLevel"' in json.dumps(parts)


def load_tokenizer(path: Path) -> Tokenizer:
    """Returns the tokenizer in a `tokenizer.json`.

    Raises:
        MissingInputError: When the file does not exist.
        DataError: When the file does not hold a tokenizer.
    """
    if not path.is_file():
        raise MissingInputError(f"no such file: {path}", fix="check the path")
    return Tokenizer(_library(path))


def word_piece(
    vocabulary: Sequence[str],
    *,
    lowercase: bool = True,
    strip_accents: bool | None = None,
    split_chinese: bool = True,
) -> Tokenizer:
    """Returns BERT's tokenizer for a vocabulary.

    Args:
        vocabulary: The tokens, ordered by id.
        lowercase: Whether text is lowercased.
        strip_accents: Whether to remove accents; None removes them when
            text is lowercased.
        split_chinese: Whether each Chinese character becomes a word of its own.
    """
    options = {
        "do_lower_case": lowercase,
        "strip_accents": strip_accents,
        "tokenize_chinese_chars": split_chinese,
    }
    ids = {token: index for index, token in enumerate(vocabulary)}
    kind = Bert()
    library = kind.build(ids, (), options, kind.tokens["unk"])
    library.add_special_tokens([one for one in kind.tokens.values() if one in ids])
    library.post_processor = kind.frame(library, kind.tokens, options)
    return Tokenizer(library)
