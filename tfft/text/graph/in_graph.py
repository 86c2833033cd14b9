"""Returns the graph form of a tokenizer, chosen by the tokenizer's kind."""

from __future__ import annotations

import json
from collections.abc import Callable

from tfft.text.graph.byte_level import ByteLevelTokenizer
from tfft.text.graph.graph_tokenizer import GraphTokenizer
from tfft.text.graph.no_graph_form import no_graph_form
from tfft.text.graph.word_piece import WordPieceTokenizer
from tfft.text.tokenizer import Tokenizer

_KINDS: dict[str, Callable[[Tokenizer, int], GraphTokenizer]] = {
    "WordPiece": WordPieceTokenizer,
    "BPE": ByteLevelTokenizer,
}


def graph_tokenizer(tokenizer: Tokenizer, max_length: int) -> GraphTokenizer:
    """Returns a form of a tokenizer that can be part of a SavedModel.

    Args:
        tokenizer: A WordPiece or byte-level tokenizer.
        max_length: The most tokens of a row, including special tokens.

    Raises:
        DataError: When the tokenizer has no exact form inside a graph.
    """
    kind = json.loads(tokenizer.to_json())["model"]["type"]
    if kind not in _KINDS:
        raise no_graph_form(
            f"the tokenizer is of kind {kind}",
            expected=" or ".join(_KINDS),
        )
    return _KINDS[kind](tokenizer, max_length)
