"""Reads a tokenizer's vocabulary and applies the rules of its transformers class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfft.core.errors import DataError, MissingInputError
from tfft.core.model_folder import file_in
from tfft.text.byte_level import read_lines, read_merges, read_vocabulary
from tfft.text.tokenizer_kinds import GPT2, Bert, Kind, Roberta, kind_named
from tfft.text.tokenizer_notes import differences
from tfft.text.tokenizer_settings import Settings

if TYPE_CHECKING:
    import tokenizers
    from tokenizers import AddedToken

_CONVERT = "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"


class BareTokenizer(NamedTuple):
    """A tokenizer without its added tokens.

    Attributes:
        library: The tokenizer.
        kind: The class whose rules it follows, or None for those of `tokenizer.json`.
        rules: The content of `tokenizer.json`, if there is one.
        notes: Sentences on how it was read.
    """

    library: tokenizers.Tokenizer
    kind: Kind | None
    rules: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def from_json(
    library: tokenizers.Tokenizer,
    rules: Mapping[str, Any],
    settings: Settings,
    name: str,
) -> BareTokenizer:
    """Returns the tokenizer of `tokenizer.json` with the rules of a class.

    Args:
        library: The tokenizer as stored in the file.
        rules: The content of the file.
        settings: The settings in the other files.
        name: The class.
    """
    model, note = rules["model"], "tokenizer.json is read as written; "
    try:
        kind = kind_named(name)
    except KeyError:
        note += f"{name} of transformers may add rules to it"
        return BareTokenizer(library, None, rules, (note,))
    if kind is None:
        return BareTokenizer(library, None, rules)
    if model["type"] != kind.model:
        note += f"{name} of transformers expects a {kind.model} vocabulary"
        return BareTokenizer(library, None, rules, (note,))
    merges = [tuple(pair) for pair in model.get("merges", ())]
    built = _built(kind, model["vocab"], merges, settings)
    built.post_processor = library.post_processor
    return BareTokenizer(built, kind, rules, tuple(differences(rules, built, name)))


def from_vocabulary(folder: Path, settings: Settings, name: str) -> BareTokenizer:
    """Returns the tokenizer of `vocab.txt`, or of `vocab.json` and `merges.txt`.

    Raises:
        MissingInputError: When the folder has neither.
        DataError: When the files are unusable, or the class reads other files.
    """
    try:
        kind = kind_named(name)
    except KeyError as error:
        raise DataError(
            f"{name} reads files that tfft cannot read",
            where=str(folder),
            expected="tokenizer.json",
            fix=f"convert it with transformers: {_CONVERT}",
        ) from error
    there = {
        name: path
        for name in ("vocab.txt", "vocab.json", "merges.txt")
        if (path := file_in(folder, name)) is not None
    }
    notes = ()
    if kind is None or not set(kind.files) <= set(there):
        kind = _kind_of(folder, there)
        notes = (
            f"no file names the class that reads {kind.files[0]}; it is read as a "
            f"{type(kind).__name__} tokenizer",
        )
    if "vocab.txt" in kind.files:
        tokens = read_lines(there["vocab.txt"])
        tokens = tokens[: -1 if not tokens[-1] else None]
        ids, merges = {token: index for index, token in enumerate(tokens)}, []
    else:
        ids = read_vocabulary(there["vocab.json"])
        merges = read_merges(there["merges.txt"])
    return BareTokenizer(_built(kind, ids, merges, settings), kind, notes=notes)


def _kind_of(folder: Path, there: Mapping[str, Path]) -> Kind:
    """Returns the class that most likely wrote the vocabulary."""
    if "vocab.txt" in there:
        return Bert()
    if not {"vocab.json", "merges.txt"} <= set(there):
        raise _missing(folder)
    is_framed = {"<s>", "</s>"} <= set(read_vocabulary(there["vocab.json"]))
    return Roberta() if is_framed else GPT2()


def _missing(folder: Path) -> MissingInputError:
    pieces = file_in(folder, "tokenizer.model") is not None
    return MissingInputError(
        "the model folder has no tokenizer",
        where=str(folder),
        expected="tokenizer.json, vocab.txt, or vocab.json and merges.txt",
        fix=f"convert tokenizer.model with transformers: {_CONVERT}"
        if pieces
        else "download the tokenizer files as well",
    )


def _built(
    kind: Kind,
    ids: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    settings: Settings,
) -> tokenizers.Tokenizer:
    unknown = named_tokens(kind, settings).get("unk")
    spelled = kind.tokens["unk"] if unknown is None else unknown.content
    return kind.build(ids, merges, settings.options, spelled)


def named_tokens(kind: Kind | None, settings: Settings) -> dict[str, AddedToken | None]:
    """Returns the tokens by role; the class supplies those that no file names."""
    from tokenizers import AddedToken

    own = {} if kind is None else kind.tokens
    tokens = {role: AddedToken(token, special=True) for role, token in own.items()}
    return {**tokens, **settings.named}
