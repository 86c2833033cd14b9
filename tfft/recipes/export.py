"""Exporting a run: merged, checked against the run, then published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.environment import versions
from tfft.core.errors import TfftError
from tfft.data.table import Table
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
    probabilities: Callable[[Table], np.ndarray],
    directory: Path,
    details: Mapping[str, Any],
) -> Path:
    """Writes a SavedModel that answers from raw text; see `Run.export`.

    Args:
        built: The network with its weights, not merged; it is so again afterwards.
        task: Its task.
        labels: The labels by id.
        probabilities: What the exported model must answer, for rows of a table.
        directory: The model's folder; the version folder is made in it.
        details: What the export says of itself, beside labels and versions.

    Returns:
        The version folder.
    """
    from tfft.serving.saved_model import publish
    from tfft.serving.word_piece import GraphTokenizer

    tokenizer = GraphTokenizer(built.pretrained.tokenizer, task.max_length)
    columns = ["text", "text_pair"][: len(task.text)]
    probes = [
        dict(zip(task.text, (text, *_PROBES[:1]), strict=False)) for text in _PROBES
    ]
    expected = probabilities(task.rows(probes))
    names = [str(label) for label in labels]
    built.adapter.merge()
    try:
        return publish(
            built.network,
            _answer(built.network, names, tokenizer),
            columns,
            directory,
            details={**details, "labels": names, "versions": versions()},
            check=lambda folder: _check(folder, columns, probes, expected),
        )
    finally:
        built.adapter.unmerge()


def _answer(network: Any, names: list[str], tokenizer: Any) -> Any:
    """Returns the function that the SavedModel computes."""
    import tensorflow as tf

    labels = tf.constant(names)

    def answer(*texts: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(tokenizer(*texts), training=False)
        probabilities = tf.nn.softmax(logits)
        label_id = tf.argmax(probabilities, axis=-1)
        return {
            "label": tf.gather(labels, label_id),
            "label_id": label_id,
            "score": tf.reduce_max(probabilities, axis=-1),
            "probabilities": probabilities,
        }

    return answer


def _check(
    folder: Path,
    columns: Sequence[str],
    probes: list[dict[str, str]],
    expected: np.ndarray,
) -> None:
    """Raises unless the written model answers the probes as the run does.

    Raises:
        TfftError: With the text of the largest difference.
    """
    import tensorflow as tf

    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    texts = [
        list(one) for one in zip(*(probe.values() for probe in probes), strict=True)
    ]
    given = {name: tf.constant(one) for name, one in zip(columns, texts, strict=True)}
    difference = np.abs(served(**given)["probabilities"].numpy() - expected).max(
        axis=-1
    )
    if not difference.max() <= _TOLERANCE:
        raise TfftError(
            f"the exported model differs from the run by {difference.max():.1e}",
            where=f"text {texts[0][int(difference.argmax())][:40]!r}",
            expected=f"at most {_TOLERANCE:.0e}",
            fix="this is a bug of tfft, please report it; nothing was published",
        )
