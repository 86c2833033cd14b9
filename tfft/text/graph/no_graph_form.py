"""The error for tokenizers that have no exact form inside a graph."""

from __future__ import annotations

from tfft.core.errors import DataError


def no_graph_form(what: str, expected: str) -> DataError:
    """Returns the error; its fix names exports without a tokenizer in the graph."""
    return DataError(
        what,
        expected=expected,
        fix='use run.export(format="onnx"), which takes ids (not for causal_lm), or '
        "run.export_huggingface",
    )
