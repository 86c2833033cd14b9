"""The metrics of all epochs as a table."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import keras

from tfft.core.files import write_text


class MetricsTable(keras.callbacks.Callback):
    """Writes `metrics.csv` from the lines of `metrics.jsonl`; must come after it.

    The whole table is rewritten each time. So an epoch that a resumed training repeats
    appears once, and a metric that first appears later gets a column.

    Args:
        source: The file of JSON lines.
        path: The table.
    """

    def __init__(self, source: Path, path: Path) -> None:
        super().__init__()
        self._source, self._path = source, path

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the table."""
        text = self._source.read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines()]
        table = io.StringIO()
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(table, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self._path, table.getvalue())
