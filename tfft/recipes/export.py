"""Exporting a run: merged, checked against the run, then published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.environment import versions
from tfft.core.errors import TfftError
from tfft.data.batching import Batches, Examples
from tfft.models.tokenizer import Tokenizer
from tfft.recipes.build import Built
from tfft.tasks.task import Labels, Task

_TOLERANCE = 1e-5
# Looked at before publishing: what tokenizers stumble over.
_PROBES = (
    "A plain sentence, with a comma.",
    "",
    "Crème brûlée ÀÉÎÕÜ ẞ İ ﬁ e\u0301",
    "中文字符 mixed with words, ไทย and हिन्दी",
    "🙂👩\u200d👩\u200d👧 \u202ehidden\u202c \x00\x07control\u00ad",
    "[CLS] [SEP] [MASK] is text " + "x" * 150,
    "long " * 2000,
)


def export_model(
    built: Built,
    task: Task,
    labels: Labels,
    directory: Path,
    details: Mapping[str, Any],
) -> Path:
    """Writes a SavedModel that answers from raw text; see `Run.export`.

    Args:
        built: The network with its weights, not merged; it is so again afterwards.
        task: Its task.
        labels: The labels by id.
        directory: The model's folder; the version folder is made in it.
        details: What the export says of itself, beside labels and versions.

    Returns:
        The version folder.
    """
    from tfft.serving.in_graph import graph_tokenizer
    from tfft.serving.saved_model import publish

    columns = ["text", "text_pair"][: len(task.text)]
    probes = [list(_PROBES), [_PROBES[0]] * len(_PROBES)][: len(columns)]
    expected = _expected(built, task, labels, probes)
    tokenizer = graph_tokenizer(built.pretrained.tokenizer, task.max_length)
    names = [str(label) for label in labels]
    with built.adapter.folded():
        return publish(
            built.network,
            _answer(built.network, task, labels, tokenizer),
            columns,
            directory,
            details={**details, "labels": names, "versions": versions()},
            check=lambda folder: _check(folder, columns, probes, expected),
        )


def _answer(network: Any, task: Task, labels: Labels, tokenizer: Any) -> Any:
    """Returns the function that the SavedModel computes."""

    def answer(*texts: Any) -> dict[str, Any]:
        inputs = tokenizer(*texts)
        outputs = task.served(network(inputs, training=False), labels)
        if task.per_token:
            # Which token an output belongs to.
            outputs["token_ids"] = inputs["token_ids"]
        return outputs

    return answer


def _expected(
    built: Built, task: Task, labels: Labels, probes: Sequence[list[str]]
) -> list[dict[str, np.ndarray]]:
    """Returns what the run itself answers to each of the probes."""
    from tfft.evaluation.forward import Forward

    examples = _encoded(built.pretrained.tokenizer, probes, task.max_length)
    outputs = Forward(built.network, per_token=task.per_token)(
        Batches(examples, len(examples))
    )
    return [
        {
            name: np.array(value[0])
            for name, value in task.served(one[None], labels).items()
        }
        for one in outputs
    ]


def _encoded(
    tokenizer: Tokenizer, texts: Sequence[list[str]], max_length: int
) -> Examples:
    pairs = texts[1] if len(texts) == 2 else None
    encodings = tokenizer.encode(texts[0], pairs, max_length)
    return Examples(
        sequences={
            "token_ids": [one.token_ids for one in encodings],
            "segment_ids": [one.segment_ids for one in encodings],
        },
        values={},
        padding={"token_ids": tokenizer.pad_id, "segment_ids": 0},
    )


def _check(
    folder: Path,
    columns: Sequence[str],
    probes: Sequence[list[str]],
    expected: Sequence[dict[str, np.ndarray]],
) -> None:
    """Raises unless the written model answers the probes as the run does.

    Raises:
        TfftError: With the text of the largest difference.
    """
    import tensorflow as tf

    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    given = {name: tf.constant(one) for name, one in zip(columns, probes, strict=True)}
    found = {name: value.numpy() for name, value in served(**given).items()}
    differences = np.array(
        [
            max(_difference(found[name][row], value) for name, value in one.items())
            for row, one in enumerate(expected)
        ]
    )
    if not differences.max() <= _TOLERANCE:
        raise TfftError(
            f"the exported model differs from the run by {differences.max():.1e}",
            where=f"text {probes[0][int(differences.argmax())][:40]!r}",
            expected=f"at most {_TOLERANCE:.0e}",
            fix="this is a bug of tfft, please report it; nothing was published",
        )


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference of numbers; names follow from them."""
    if not np.issubdtype(expected.dtype, np.floating):
        return 0.0
    same_tokens = tuple(slice(0, size) for size in expected.shape)  # without padding
    return float(np.abs(found[same_tokens] - expected).max(initial=0.0))
