"""Rebuilds KerasHub tokenizers on the `tokenizers` library."""

from __future__ import annotations

from typing import Any

from tfft.core.errors import ConfigError, one_of
from tfft.models.tokenizer_files import word_piece
from tfft.text.byte_level import ROBERTA, byte_level
from tfft.text.tokenizer import Tokenizer


def from_keras_hub(tokenizer: Any) -> Tokenizer:
    """Rebuilds a KerasHub tokenizer on the `tokenizers` library.

    Tokenizers of the Llama family are refused: KerasHub's split text differently from
    Hugging Face's, or hold a SentencePiece model.

    Raises:
        ConfigError: For a tokenizer of another family.
    """
    import keras_hub

    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    makers = {
        keras_hub.tokenizers.BertTokenizer: _word_piece,
        keras_hub.tokenizers.DistilBertTokenizer: _word_piece,
        keras_hub.tokenizers.GPT2Tokenizer: _gpt2,
        keras_hub.tokenizers.RobertaTokenizer: _roberta,
    }
    for kind, make in makers.items():
        if isinstance(tokenizer, kind):
            return make(tokenizer)
    names = one_of(kind.__name__ for kind in makers)
    raise ConfigError(
        f"tokenizer of type {type(tokenizer).__name__}",
        expected=f"{names} of KerasHub, or a tfft tokenizer",
        fix='use tfft.read_tokenizer("folder")',
    )


def _word_piece(tokenizer: Any) -> Tokenizer:
    return word_piece(
        tokenizer.get_vocabulary(),
        lowercase=tokenizer.lowercase,
        strip_accents=tokenizer.strip_accents,
    )


def _merges(tokenizer: Any) -> list[tuple[str, str]]:
    pairs = (merge.split(" ") for merge in tokenizer.merges)
    return [(first, second) for first, second in pairs]


def _gpt2(tokenizer: Any) -> Tokenizer:
    return Tokenizer(byte_level(tokenizer.vocabulary, _merges(tokenizer)))


def _roberta(tokenizer: Any) -> Tokenizer:
    library = byte_level(
        tokenizer.vocabulary,
        _merges(tokenizer),
        special=[token for token in ROBERTA if token in tokenizer.vocabulary],
        frame=("<s>", "</s>"),
    )
    return Tokenizer(library)
