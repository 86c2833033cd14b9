"""A model's own tokenizer, built on the `tokenizers` library."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfft.core.errors import DataError
from tfft.core.files import write_json, write_text
from tfft.text.chat_template import ChatTemplate
from tfft.text.conventions import Conventions
from tfft.text.special_tokens import ASSUMED, usual_roles

if TYPE_CHECKING:
    import tokenizers

_SURROGATES = re.compile("[\ud800-\udfff]")


class Encoding(NamedTuple):
    """The ids of one text or pair, including special tokens.

    Attributes:
        token_ids: The ids.
        segment_ids: 0 for the first text, 1 for the second.
        truncated: Whether tokens were cut off.
    """

    token_ids: list[int]
    segment_ids: list[int]
    truncated: bool


class Window(NamedTuple):
    """A part of a text that fits the model, including special tokens.

    Attributes:
        token_ids: The ids.
        segment_ids: 0 for the first text, 1 for the second.
        offsets: Start and end character of each token in its own text; (0, 0) for
            special tokens.
        text_ids: 0 for tokens of the first text, 1 for those of the second, None for
            special tokens.
    """

    token_ids: list[int]
    segment_ids: list[int]
    offsets: list[tuple[int, int]]
    text_ids: list[int | None]


class Tokenizer:
    """A `tokenizers.Tokenizer` that never pads and never obeys the text.

    A text that spells `[SEP]` is ordinary text: it is tokenized as such and does not
    become the separator, so no email can end the sentence that contains it.

    Args:
        tokenizer: The tokenizer as Hugging Face configures it.
        roles: The tokens that begin (`bos`) and end (`eos`) a text, pad it (`pad`)
            and so on, if the model has them. Defaults to the spellings of well-known
            families.
        chat_template: How to write conversations, if the model was trained on any.
        conventions: The sides on which its makers truncate and pad. Defaults to the
            right for both.
        assumed: The roles that no file of the tokenizer names. Chat templates do not
            see their tokens.
        notes: One sentence for each setting that is read differently from a file.
    """

    def __init__(
        self,
        tokenizer: tokenizers.Tokenizer,
        roles: Mapping[str, str] | None = None,
        chat_template: ChatTemplate | None = None,
        conventions: Conventions | None = None,
        assumed: Collection[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self.library = tokenizer
        self.roles = dict(usual_roles(tokenizer) if roles is None else roles)
        self.chat_template = chat_template
        self.conventions = conventions or Conventions()
        self.assumed = frozenset(assumed)
        self.notes = tuple(notes)

    @property
    def vocabulary_size(self) -> int:
        """The number of ids, including added tokens."""
        return self.library.get_vocab_size()

    @property
    def bos_id(self) -> int | None:
        """The id of the token that begins a text, if the model has one."""
        return self._id_of_role("bos")

    @property
    def eos_id(self) -> int | None:
        """The id of the token that ends a text, if the model has one."""
        return self._id_of_role("eos")

    @property
    def pad_id(self) -> int:
        """The id at padded positions, which the mask hides.

        The model's padding token, else its end token, else 0.
        """
        found = (self._id_of_role(role) for role in ("pad", "eos"))
        return next((index for index in found if index is not None), 0)

    def tokens_from(self, index: int) -> set[str]:
        """Returns the tokens with this id or a larger one."""
        return {
            token for token, one in self.library.get_vocab().items() if one >= index
        }

    def without_roles(self, tokens: Collection[str]) -> bool:
        """Removes the roles of tokens that no text contains.

        Returns:
            Whether it did: all are special, and none is placed around texts.
        """
        added = self.library.get_added_tokens_decoder().values()
        special = {token.content for token in added if token.special}
        around = set(self.library.encode("").tokens)
        if not set(tokens) <= special - around:
            return False
        self.roles = {
            role: token for role, token in self.roles.items() if token not in tokens
        }
        return True

    def _id_of_role(self, role: str) -> int | None:
        return (
            self.library.token_to_id(self.roles[role]) if role in self.roles else None
        )

    def encode(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        max_length: int,
        tail_tokens: int = 0,
    ) -> list[Encoding]:
        """Returns the ids of texts or of pairs of texts.

        Args:
            texts: The first texts.
            pairs: The second texts, one for each first text, or None.
            max_length: The most tokens of an encoding. The longer text of a pair is
                truncated first, on the side that the model's conventions name.
            tail_tokens: Number of tokens to keep from the end of a truncated text.
                Defaults to 0.

        Returns:
            One encoding for each text.
        """
        if tail_tokens:
            return self._with_tails(texts, max_length, tail_tokens)
        self.library.enable_truncation(
            max_length,
            strategy="longest_first",
            direction=self.conventions.truncation_side,
        )
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

    def _with_tails(
        self, texts: Sequence[str], max_length: int, tail_tokens: int
    ) -> list[Encoding]:
        encoded = self.library.encode_batch(
            [_without_surrogates(text) for text in texts]
        )
        found = []
        for one in encoded:
            over = max(len(one.ids) - max_length, 0)
            places = [
                place for place, text in enumerate(one.sequence_ids) if text is not None
            ]
            end = len(places) - tail_tokens
            lost = set(places[end - over : end])
            kept = [place for place in range(len(one.ids)) if place not in lost]
            ids, segments = one.ids, one.type_ids  # each access copies
            found.append(
                Encoding(
                    [ids[place] for place in kept],
                    [segments[place] for place in kept],
                    over > 0,
                )
            )
        return found

    def windows(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        max_length: int,
        stride: int,
    ) -> list[list[Window]]:
        """Splits texts into windows that together contain every token.

        Args:
            texts: The texts.
            pairs: The second texts, one for each first text, or None. Only they are
                split, and each window begins with the whole first text.
            max_length: The most tokens of a window.
            stride: Number of tokens that a window shares with the one before.

        Returns:
            The windows of each text, in order.
        """
        strategy = "longest_first" if pairs is None else "only_second"
        self.library.enable_truncation(max_length, stride=stride, strategy=strategy)
        inputs: list[Any] = [_without_surrogates(text) for text in texts]
        if pairs is not None:
            seconds = [_without_surrogates(text) for text in pairs]
            inputs = list(zip(inputs, seconds, strict=True))
        encoded = self.library.encode_batch(inputs)
        self.library.no_truncation()
        return [
            [
                Window(part.ids, part.type_ids, part.offsets, part.sequence_ids)
                for part in (one, *one.overflowing)
            ]
            for one in encoded
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

    def save(self, folder: Path, options: Mapping[str, Any] | None = None) -> None:
        """Writes `tokenizer.json` and `tokenizer_config.json` into a folder.

        Args:
            folder: The folder.
            options: Further entries for `tokenizer_config.json`, which replace those
                of the same name. Defaults to none.
        """
        write_text(folder / "tokenizer.json", self.to_json())
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **self.conventions.options(),
        }
        config[ASSUMED] = {}
        for role, token in self.roles.items():
            named = config[ASSUMED] if role in self.assumed else config
            named[f"{role}_token"] = token
        if self.chat_template is not None:
            config["chat_template"] = self.chat_template.config
        write_json(folder / "tokenizer_config.json", {**config, **(options or {})})


def _without_surrogates(text: str) -> str:
    """Replaces lone surrogates, which UTF-8 cannot encode."""
    return _SURROGATES.sub("\ufffd", text)
