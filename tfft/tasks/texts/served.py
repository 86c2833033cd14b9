"""Tasks on whole texts inside a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tfft.tasks.endpoint import Endpoint, Endpoints, InGraph, Served


def _no_more(answering: Endpoint) -> Endpoints:
    return {}


@dataclass(frozen=True)
class ServedTexts(Served):
    """The served half of a task that answers once for a text or a pair of texts.

    Attributes:
        columns: The number of text columns, 1 or 2.
        answer: Maps the network's outputs to named tensors. The graph half of `decode`.
        reader: Maps these tensors, as arrays, to answers.
        further: Returns further signatures, given `serving_default`. Defaults to none.
    """

    columns: int
    answer: Callable[[Any], dict[str, Any]]
    reader: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
    further: Callable[[Endpoint], Endpoints] = _no_more

    def endpoints(self, network: Any, tokenizer: InGraph) -> Endpoints:
        """Returns signatures for the answers, `embed` for the text vector, and more."""
        from tfft.tasks.texts.rows_in_graph import endpoints

        found = endpoints(network, tokenizer, self.columns, self.answer)
        return found | self.further(found["serving_default"])

    def read(self, outputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns the answer of each row."""
        return self.reader(outputs)
