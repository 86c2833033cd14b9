"""Writes reports for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tfft.core.files import storage_errors
from tfft.evaluation.report import Report


def write_to_board(
    folder: Path,
    reports: Mapping[str, Report],
    drawn: Mapping[str, Mapping[str, bytes]],
    step: int,
) -> None:
    """Writes the tables of reports as text, and their pictures as images.

    Args:
        folder: The log folder.
        reports: The report of each split.
        drawn: The pictures of each split.
        step: The epoch of the reports.
    """
    import tensorflow as tf

    with storage_errors(folder):
        writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=step):
        for split, report in reports.items():
            tf.summary.text(f"{split}/report", report.to_markdown())
            for title, content in drawn[split].items():
                image = tf.io.decode_png(content, channels=3)[None]
                tf.summary.image(f"{split}/{title}", image)
    writer.close()
