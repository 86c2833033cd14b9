"""Byte-level byte pair encoding, as in GPT-2 and RoBERTa."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfft.core.errors import DataError, shorten
from tfft.text.tokenizer_kinds import GPT2, Roberta

if TYPE_CHECKING:
    import tokenizers

ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_MAX_BYTES = 100_000_000


def byte_level(
    vocabulary: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    *,
    special: Sequence[str] = ("<|endoftext|>",),
    prefix_space: bool = False,
    frame: tuple[str, str] | None = None,
) -> tokenizers.Tokenizer:
    """Returns a byte-level tokenizer of the `tokenizers` library.

    Args:
        vocabulary: The ids of the tokens, including special ones.
        merges: The pairs to join, most frequent first.
        special: Special tokens, which are never made from text.
        prefix_space: Whether to start a text with a space if it has none.
        frame: The tokens before and after a text, as in RoBERTa; a pair then has the
            end token twice between its texts. None for no tokens, as in GPT-2.

    Raises:
        DataError: When the vocabulary lacks a special token or a token of a merge.
    """
    from tokenizers import processors

    missing = [token for token in special if token not in vocabulary]
    if missing:
        raise DataError(
            f"the vocabulary has no token {missing[0]}", fix="check the tokenizer files"
        )
    options = {"add_prefix_space": prefix_space}
    library = GPT2().build(vocabulary, merges, options, "")
    library.add_special_tokens(list(special))
    library.post_processor = processors.ByteLevel(trim_offsets=False)
    if frame is not None:
        roles = dict(zip(("cls", "sep"), frame, strict=True))
        library.post_processor = Roberta().frame(library, roles, options)
    return library


def read_vocabulary(path: Path) -> dict[str, int]:
    """Returns the tokens of a `vocab.json` with their ids.

    Raises:
        DataError: When the file is unusable.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("larger than 100 MB")
        ids = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(ids, dict):
            raise ValueError(f"holds a {type(ids).__name__}")
        if not ids:
            raise ValueError("holds no token")
        for token, index in ids.items():
            if isinstance(index, bool) or not isinstance(index, int):
                raise ValueError(f"the id of {shorten(token)} is {shorten(index)}")
            if not 0 <= index < 2**31:
                raise ValueError(f"the id of {shorten(token)} is {index}")
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"vocabulary is not usable: {error}",
            where=str(path),
            expected="a JSON object that maps tokens to ids",
            fix="download it again",
        ) from error
    return ids


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a file of tokens, split at line feeds only.

    Raises:
        DataError: When the file is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} is not UTF-8",
            where=str(path),
            fix="download it again",
        ) from error


def read_merges(path: Path) -> list[tuple[str, str]]:
    """Returns the pairs of a `merges.txt`, most frequent first.

    Raises:
        DataError: When the file is unusable.
    """
    merges = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        pair = line.rstrip("\r").split(" ")
        if len(pair) != 2:
            raise DataError(
                f"line {number} is {shorten(line)}",
                where=str(path),
                expected="two tokens separated by a space",
                fix="download it again",
            )
        merges.append((pair[0], pair[1]))
    return merges
