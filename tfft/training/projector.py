"""Hidden states of examples for TensorBoard's projector, colored by label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfft.core.files import write_text

_FOLDER = "projector"


class Projector(keras.callbacks.Callback):
    """Writes the vectors of examples after each epoch, as one set of points per epoch.

    Args:
        folder: The folder of the event files.
        vectors: Returns one vector for each example, shape (examples, hidden).
        columns: Properties of the examples by name, such as `label`.
    """

    def __init__(
        self,
        folder: Path,
        vectors: Callable[[], np.ndarray],
        columns: dict[str, Sequence[Any]],
    ) -> None:
        super().__init__()
        self._folder, self._vectors, self._columns = folder, vectors, columns

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the vectors and updates the list of all sets."""
        from tensorboard.plugins import projector

        place = self._folder / _FOLDER
        place.mkdir(parents=True, exist_ok=True)
        write_text(place / "examples.tsv", _lines(self._columns))
        rows = ["\t".join(f"{x:.6g}" for x in row) for row in self._vectors()]
        write_text(place / f"epoch_{epoch + 1:04}.tsv", "\n".join(rows) + "\n")
        config = projector.ProjectorConfig()
        for path in sorted(place.glob("epoch_*.tsv")):
            config.embeddings.add(
                tensor_name=path.stem,
                tensor_path=f"{_FOLDER}/{path.name}",
                metadata_path=f"{_FOLDER}/examples.tsv",
            )
        projector.visualize_embeddings(str(self._folder), config)


def _lines(columns: dict[str, Sequence[Any]]) -> str:
    """Returns the table for the projector: one line per example, split by tabs."""
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    cells = ([" ".join(str(cell).split()) for cell in row] for row in rows)
    # The projector expects no header in a table with one column.
    wanted = cells if len(columns) > 1 else list(cells)[1:]
    return "".join("\t".join(row) + "\n" for row in wanted)
