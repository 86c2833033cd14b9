"""The model's own tokenizer, through the `tokenizers` library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.models.configuration import read_config

if TYPE_CHECKING:
    import tokenizers

_SURROGATES = re.compile("[\ud800-\udfff]")


class Encoding(NamedTuple):
    """The ids of one text or pair, special tokens included.

    Attributes:
        token_ids: The ids.
        segment_ids: 0 for the first text, 1 for the second.
        truncated: Whether tokens were cut off.
    """

    token_ids: list[int]
    segment_ids: list[int]
    truncated: bool


class Tokenizer:
    """A `tokenizers.Tokenizer` that never pads and never obeys the text.

    A text that spells `[SEP]` is text: it becomes the tokens of its letters, not
    the separator, so that no mail can end the sentence it stands in.

    Args:
        tokenizer: The tokenizer as Hugging Face configures it.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self.library = tokenizer

    @property
    def vocabulary_size(self) -> int:
        """The number of ids, added tokens included."""
        return self.library.get_vocab_size()

    def encode(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        max_length: int,
    ) -> list[Encoding]:
        """Returns the ids of texts, or of pairs of texts.

        Args:
            texts: The first texts.
            pairs: The second texts, as many, or None.
            max_length: The most tokens of an encoding; the longer text of a pair
                is cut first.

        Returns:
            One encoding for each text.
        """
        self.library.enable_truncation(max_length, strategy="longest_first")
        texts = [_without_surrogates(text) for text in texts]
        inputs: list[Any] = list(texts)
        if pairs is not None:
            seconds = [_without_surrogates(text) for text in pairs]
            inputs = list(zip(texts, seconds, strict=True))
        encoded = self.library.encode_batch(inputs)
        self.library.no_truncation()
        return [
            Encoding(one.ids, one.type_ids, bool(one.overflowing)) for one in encoded
        ]

    def id_of(self, token: str) -> int:
        """Returns the id of a special token.

        Raises:
            DataError: When the vocabulary has no such token.
        """
        found = self.library.token_to_id(token)
        if found is None:
            raise DataError(
                f"the vocabulary has no token {token}", fix="check the tokenizer files"
            )
        return found

    def to_json(self) -> str:
        """Returns the content of a `tokenizer.json`."""
        return self.library.to_str(pretty=True)


def _without_surrogates(text: str) -> str:
    """Replaces halves of characters, which no UTF-8 text can hold."""
    return _SURROGATES.sub("\ufffd", text)


def read_tokenizer(folder: Path) -> Tokenizer:
    """Returns the tokenizer of a Hugging Face folder.

    Args:
        folder: Holds `tokenizer.json`, or `vocab.txt` and perhaps
            `tokenizer_config.json`.

    Raises:
        MissingInputError: When it holds neither.
        DataError: When the file cannot be read.
    """
    if (folder / "tokenizer.json").is_file():
        return load_tokenizer(folder / "tokenizer.json")
    if (folder / "vocab.txt").is_file():
        options = {}
        if (folder / "tokenizer_config.json").is_file():
            options = _options(folder)
        return word_piece(_vocabulary(folder / "vocab.txt"), **options)
    raise MissingInputError(
        "model folder without a tokenizer",
        where=str(folder),
        expected="tokenizer.json or vocab.txt",
        fix="download the tokenizer files as well",
    )


def _vocabulary(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte {error.start} is not UTF-8", where=str(path), fix="download it again"
        ) from error
    return lines[: -1 if not lines[-1] else None]


def _options(folder: Path) -> dict[str, Any]:
    config = read_config(folder, "tokenizer_config.json")
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


def from_keras_hub(tokenizer: Any) -> Tokenizer:
    """Returns the same tokenizer as a KerasHub one, through `tokenizers`.

    Raises:
        ConfigError: For a tokenizer that is not a WordPiece one.
    """
    import keras_hub

    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    if not isinstance(tokenizer, keras_hub.tokenizers.BertTokenizer):
        raise ConfigError(
            f"tokenizer of type {type(tokenizer).__name__}",
            expected="a BertTokenizer of KerasHub or a tfft tokenizer",
            fix='use tfft.read_tokenizer("folder")',
        )
    return word_piece(
        tokenizer.get_vocabulary(),
        lowercase=tokenizer.lowercase,
        strip_accents=tokenizer.strip_accents,
    )
