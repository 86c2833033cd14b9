"""The tokenizer classes of transformers and how each builds a tokenizer.

Version 5 takes only the vocabulary from the files. How text is split is the rule of the
class with the options of `tokenizer_config.json`, whatever `tokenizer.json` says.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tfft.core.errors import DataError
from tfft.text.tokenizer_settings import flag

if TYPE_CHECKING:
    import tokenizers

_QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_FRAME = ("cls", "sep")


class Kind(abc.ABC):
    """One tokenizer class of transformers.

    Attributes:
        model: The kind of vocabulary that it reads.
        files: The vocabulary files, for a folder without `tokenizer.json`.
        tokens: The special tokens for folders that name none.
        segments: Whether it marks the two texts of a pair with segment ids.
        padding_side: The side on which it pads, unless the folder names one.
    """

    model: ClassVar[str] = "BPE"
    files: ClassVar[tuple[str, ...]] = ("vocab.json", "merges.txt")
    tokens: ClassVar[Mapping[str, str]] = {}
    segments: ClassVar[bool] = False
    padding_side: ClassVar[str] = "right"

    @abc.abstractmethod
    def build(
        self,
        ids: Mapping[str, int],
        merges: Sequence[tuple[str, str]],
        options: Mapping[str, Any],
        unknown: str,
    ) -> tokenizers.Tokenizer:
        """Returns a tokenizer without added tokens and with nothing around texts.

        Args:
            ids: The vocabulary.
            merges: The pairs to join, for byte pair encoding.
            options: The content of `tokenizer_config.json`.
            unknown: The token for a word that has no other.
        """

    def frame(
        self, library: tokenizers.Tokenizer, roles: Mapping[str, str], options: Mapping
    ) -> Any:
        """Returns the post-processor that the class always sets, or None."""
        return None


class Bert(Kind):
    """BertTokenizer."""

    model = "WordPiece"
    files = ("vocab.txt",)
    tokens: ClassVar[Mapping[str, str]] = {
        "unk": "[UNK]",
        "sep": "[SEP]",
        "pad": "[PAD]",
        "cls": "[CLS]",
        "mask": "[MASK]",
    }
    segments = True

    def build(self, ids, merges, options, unknown):
        """Returns a WordPiece tokenizer with BERT's rules."""
        import tokenizers
        from tokenizers import decoders, models, normalizers, pre_tokenizers

        if unknown not in ids:  # the library would fail at the first unknown word
            raise _lacking(unknown)
        library = tokenizers.Tokenizer(models.WordPiece(dict(ids), unk_token=unknown))
        lowercase = flag(options, "do_lower_case", True)
        # If the option is missing, accents are removed when text is lowercased.
        accents = None
        if options.get("strip_accents") is not None:
            accents = flag(options, "strip_accents", False)
        library.normalizer = normalizers.BertNormalizer(
            lowercase=lowercase,
            strip_accents=accents,
            handle_chinese_chars=flag(options, "tokenize_chinese_chars", True),
        )
        library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        library.decoder = decoders.WordPiece(prefix="##")
        return library

    def frame(self, library, roles, options):
        """Returns [CLS] A [SEP] B [SEP]."""
        from tokenizers import processors

        start, end = (
            _framing(library, {**self.tokens, **roles}, role) for role in _FRAME
        )
        return processors.TemplateProcessing(
            single=f"{start[0]} $A {end[0]}",
            pair=f"{start[0]} $A {end[0]} $B:1 {end[0]}:1",
            special_tokens=list(dict([start, end]).items()),
        )


class DistilBert(Bert):
    """DistilBertTokenizer, which has no segment ids."""

    segments = False


class GPT2(Kind):
    """GPT2Tokenizer."""

    tokens: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("unk", "bos", "eos"), "<|endoftext|>"
    )

    def build(self, ids, merges, options, unknown):
        """Returns a byte-level tokenizer that splits like GPT-2."""
        from tokenizers import decoders, pre_tokenizers

        library = byte_pairs(ids, merges)
        library.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=flag(options, "add_prefix_space", False)
        )
        library.decoder = decoders.ByteLevel()
        return library


class Roberta(GPT2):
    """RobertaTokenizer."""

    tokens: ClassVar[Mapping[str, str]] = {
        "bos": "<s>",
        "eos": "</s>",
        "sep": "</s>",
        "cls": "<s>",
        "unk": "<unk>",
        "pad": "<pad>",
        "mask": "<mask>",
    }

    def frame(self, library, roles, options):
        """Returns <s> A </s> </s> B </s>."""
        from tokenizers import processors

        start, end = (
            _framing(library, {**self.tokens, **roles}, role) for role in _FRAME
        )
        return processors.RobertaProcessing(
            end,
            start,
            trim_offsets=flag(options, "trim_offsets", True),
            add_prefix_space=flag(options, "add_prefix_space", False),
        )


class Qwen2(Kind):
    """Qwen2Tokenizer."""

    tokens: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("unk", "eos", "pad"), "<|endoftext|>"
    )

    def build(self, ids, merges, options, unknown):
        """Returns a byte-level tokenizer that splits like Qwen2."""
        import tokenizers
        from tokenizers import decoders, normalizers, pre_tokenizers

        library = byte_pairs(ids, merges)
        library.normalizer = normalizers.NFC()
        library.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(tokenizers.Regex(_QWEN2_WORDS), "isolated"),
                pre_tokenizers.ByteLevel(
                    add_prefix_space=flag(options, "add_prefix_space", False),
                    use_regex=False,
                ),
            ]
        )
        library.decoder = decoders.ByteLevel()
        return library


class Llama(Kind):
    """LlamaTokenizer, which works like SentencePiece."""

    files = ()
    tokens: ClassVar[Mapping[str, str]] = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
    padding_side = "left"

    def build(self, ids, merges, options, unknown):
        """Returns a tokenizer that writes spaces as ▁ and falls back to bytes."""
        from tokenizers import decoders, pre_tokenizers

        library = byte_pairs(ids, merges, fuse_unk=True, byte_fallback=True)
        scheme, steps = "never", [decoders.Replace("▁", " ")]
        steps += [decoders.ByteFallback(), decoders.Fuse()]
        if flag(options, "add_prefix_space", True):
            scheme = "always" if flag(options, "legacy", False) else "first"
            steps.append(decoders.Strip(" ", 1, 0))
        library.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement="▁", prepend_scheme=scheme, split=False
        )
        library.decoder = decoders.Sequence(steps)
        return library


_KINDS: dict[str, type[Kind]] = {
    **dict.fromkeys(("BertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"), Bert),
    "DistilBertTokenizer": DistilBert,
    "GPT2Tokenizer": GPT2,
    **dict.fromkeys(("RobertaTokenizer", "LongformerTokenizer"), Roberta),
    "Qwen2Tokenizer": Qwen2,
    "LlamaTokenizer": Llama,
}
# Classes that stand for any content of `tokenizer.json`.
_WHOLE = ("PreTrainedTokenizer", "TokenizersBackend")


def kind_named(name: str | None) -> Kind | None:
    """Returns the class of that name, or None if it reads all of `tokenizer.json`.

    Raises:
        KeyError: For an unknown name.
    """
    name = (name or _WHOLE[0]).removesuffix("Fast")
    return None if name in _WHOLE else _KINDS[name]()


def byte_pairs(
    ids: Mapping[str, int], merges: Sequence[tuple[str, str]], **options: Any
) -> tokenizers.Tokenizer:
    """Returns a byte pair encoding without splitting rules.

    Raises:
        DataError: When a merge joins tokens that the vocabulary lacks.
    """
    import tokenizers
    from tokenizers import models

    try:
        model = models.BPE(dict(ids), list(merges), **options)
    except Exception as error:  # the library raises no narrower type
        raise DataError(
            f"vocabulary and merges do not fit: {error}",
            fix="download both files again",
        ) from error
    return tokenizers.Tokenizer(model)


def _framing(
    library: tokenizers.Tokenizer, roles: Mapping[str, str], role: str
) -> tuple[str, int]:
    """Returns a token that is placed around texts, with its id."""
    index = library.token_to_id(roles[role])
    if index is None:
        raise _lacking(roles[role])
    return roles[role], index


def _lacking(token: str) -> DataError:
    return DataError(
        f"the vocabulary has no token {token}", fix="check the tokenizer files"
    )
