"""Exporting a run: merged, checked against the run, then published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfft.core.environment import versions
from tfft.core.errors import TfftError

if TYPE_CHECKING:
    from tfft.recipes.run import Run

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


def export_run(run: Run, directory: Path) -> Path:
    """Writes a SavedModel of a run; see `Run.export`."""
    from tfft.serving.saved_model import publish
    from tfft.serving.word_piece import GraphTokenizer

    tokenizer = GraphTokenizer(run.built.pretrained.tokenizer, run.task.max_length)
    columns = _input_names(run)
    adapter = run.built.adapter
    probes = [
        dict(zip(run.task.text, (text, *_PROBES[:1]), strict=False)) for text in _PROBES
    ]
    expected = run.probabilities(run.task.rows(probes))
    adapter.merge()
    try:
        return publish(
            run.model,
            _answer(run, tokenizer),
            columns,
            directory,
            details={
                "task": run.task.name,
                "labels": [str(label) for label in run.labels],
                "run": run.folder.name,
                "versions": versions(),
            },
            check=lambda folder: _check(folder, columns, probes, expected),
        )
    finally:
        adapter.unmerge()


def _input_names(run: Run) -> list[str]:
    """Returns `text`, and `text_pair` for a second column."""
    return ["text", "text_pair"][: len(run.task.text)]


def _answer(run: Run, tokenizer: Any) -> Any:
    """Returns the function that the SavedModel computes."""
    import tensorflow as tf

    labels = tf.constant([str(label) for label in run.labels])
    network = run.model

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
