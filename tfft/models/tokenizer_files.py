"""Reading the tokenizer of a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfft.core.errors import DataError, MissingInputError
from tfft.models.byte_level import read_byte_level
from tfft.models.chat_template_files import read_chat_template
from tfft.models.configuration import read_config
from tfft.models.folder import file_in
from tfft.models.special_tokens import read_roles
from tfft.models.tokenizer import Tokenizer


def read_tokenizer(folder: str | Path) -> Tokenizer:
    """Returns the tokenizer of a Hugging Face folder.

    Args:
        folder: Holds `tokenizer.json`, or `vocab.txt`, or `vocab.json` with
            `merges.txt`, and perhaps `tokenizer_config.json`.

    Raises:
        MissingInputError: When it holds none of them.
        DataError: When a file cannot be read.
    """
    folder = Path(folder)
    whole, words = file_in(folder, "tokenizer.json"), file_in(folder, "vocab.txt")
    parts = [file_in(folder, name) for name in ("vocab.json", "merges.txt")]
    if whole is not None:
        tokenizer = load_tokenizer(whole)
    elif words is not None:
        vocabulary = _vocabulary(words)
        tokenizer = word_piece(vocabulary, **_word_piece_options(_config(folder)))
    elif None not in parts:
        tokenizer = Tokenizer(read_byte_level(folder, _config(folder)))
    else:
        raise MissingInputError(
            "model folder without a tokenizer",
            where=str(folder),
            expected="tokenizer.json, vocab.txt, or vocab.json and merges.txt",
            fix="download the tokenizer files as well",
        )
    roles = read_roles(folder, tokenizer.library)
    return Tokenizer(tokenizer.library, roles, read_chat_template(folder))


def _config(folder: Path) -> dict[str, Any]:
    """Returns the content of `tokenizer_config.json`, if there is one."""
    name = "tokenizer_config.json"
    return read_config(folder, name) if (folder / name).is_file() else {}


def _vocabulary(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} is not UTF-8", where=str(path), fix="download it again"
        ) from error
    return lines[: -1 if not lines[-1] else None]


def _word_piece_options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "lowercase": bool(config.get("do_lower_case", True)),
        "strip_accents": config.get("strip_accents"),
        "split_chinese": bool(config.get("tokenize_chinese_chars", True)),
    }


def load_tokenizer(path: Path) -> Tokenizer:
    """Returns the tokenizer in a `tokenizer.json`.

    Raises:
        MissingInputError: When there is no such file.
        DataError: When it is none.
    """
    import tokenizers

    if not path.is_file():
        raise MissingInputError(f"no such file: {path}", fix="check the path")
    try:
        return Tokenizer(tokenizers.Tokenizer.from_file(str(path)))
    except Exception as error:  # the library raises nothing narrower
        raise DataError(
            f"not a usable tokenizer: {error}", where=str(path), fix="download it again"
        ) from error


def word_piece(
    vocabulary: Sequence[str],
    *,
    lowercase: bool = True,
    strip_accents: bool | None = None,
    split_chinese: bool = True,
) -> Tokenizer:
    """Returns BERT's tokenizer for a vocabulary.

    Args:
        vocabulary: The tokens in the order of their ids.
        lowercase: Whether text is lowercased.
        strip_accents: Whether accents go; None means: when text is lowercased.
        split_chinese: Whether each Chinese character is a word.
    """
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors

    ids = {token: index for index, token in enumerate(vocabulary)}
    library = tokenizers.Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase,
        strip_accents=strip_accents,
        handle_chinese_chars=split_chinese,
    )
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [
        token
        for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        if token in ids
    ]
    library.add_special_tokens(special)
    wrapped = Tokenizer(library)
    wrapped.id_of("[UNK]")  # without it, the library fails at the first odd word
    library.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[
            ("[CLS]", wrapped.id_of("[CLS]")),
            ("[SEP]", wrapped.id_of("[SEP]")),
        ],
    )
    return wrapped
