"""Records a training: nothing, or checkpoints, metrics and curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.checkpoints.training_state import Checkpoint, Checkpoints, TrainingState
from tfft.core.files import write_text
from tfft.core.signals import uninterrupted
from tfft.data.batching import Batches
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.watchers import watchers
from tfft.runs.folder import METRICS


class Recorder:
    """Follows a training and keeps nothing of it.

    A subclass overrides what it needs. The loop calls `start` once, takes the
    callbacks of the four other lists in the order they have here, and calls
    `interrupted` or not, and `close`.
    """

    def start(self, model: Any, keep: Any, batches: Batches) -> None:
        """Looks at the model before its first step, and may restore a checkpoint.

        Args:
            model: The compiled model.
            keep: The callback that keeps the best weights; None without validation.
            batches: The training rows.
        """

    def at_steps(self) -> Sequence[Any]:
        """Returns the callbacks that act between steps."""
        return ()

    def observers(self) -> Sequence[Any]:
        """Returns the callbacks that see the weights that validation sees."""
        return ()

    def watchers(self) -> Sequence[Any]:
        """Returns the callbacks that see the metrics of an epoch."""
        return ()

    def at_epochs(self) -> Sequence[Any]:
        """Returns the callbacks that come after all others at the end of an epoch."""
        return ()

    def trained(self, best_epoch: int) -> None:
        """Saves the weights of the best epoch, which the network now has in float32.

        It comes before any score is computed: if that fails, the training is not lost.
        """

    def interrupted(self) -> None:
        """Saves what can be saved when a signal stops the training."""

    def close(self) -> None:
        """Cleans up, however the training ended."""


class FolderRecorder(Recorder):
    """Writes what a run folder keeps of a training, and shows its progress.

    Args:
        config: The options.
        folder: The run folder.
        console: Where progress is shown; None hides it.
        checkpoints: Whether to write checkpoints, from which a training can resume.
        resume_from: The folder whose checkpoints are read when the options say
            `resume`. Another one than `folder` for a process that is not the chief.
        observers: Callbacks that see the weights that validation sees.
    """

    def __init__(
        self,
        config: FinetuneConfig,
        folder: Path,
        *,
        console: Console | None = None,
        checkpoints: bool = True,
        resume_from: Path | None = None,
        observers: Sequence[Any] = (),
    ) -> None:
        self._config, self.folder, self._console = config, folder, console
        self._resume_from = resume_from or folder
        self._observers = observers
        self._writes_checkpoints = checkpoints
        self._saver: _Saver | None = None
        self._progress: Any = None
        self._batches: Batches | None = None

    def start(self, model: Any, keep: Any, batches: Batches) -> None:
        """Restores the last checkpoint of a training that resumes."""
        self._batches = batches
        if self._writes_checkpoints:
            self._saver = _Saver(self._config, self.folder, model, keep, len(batches))
        if self._config.resume:
            for note in self._saver.restore(self._resume_from):
                self._say(note)
            _keep_lines(self.folder / METRICS, model.position.epoch)

    def at_steps(self) -> list[Any]:
        """Returns the callback that writes a checkpoint every `save_every` steps."""
        from tfft.training.callbacks import EverySteps

        every = self._config.save_every
        return [EverySteps(every, self._saver.save)] if every else []

    def observers(self) -> Sequence[Any]:
        """Returns the callbacks that were given."""
        return self._observers

    def watchers(self) -> list[Any]:
        """Returns progress, the files of metrics and TensorBoard's curves."""
        from tfft.training.callbacks import MetricsFile
        from tfft.training.progress_display import ShowProgress

        batches, shown = self._batches, []
        if self._console is not None:
            sizes = self._config.epochs, len(batches), batches.tokens()[0]
            self._progress = ShowProgress(self._console, *sizes)
            shown = [self._progress]
        return [
            *shown,
            MetricsFile(self.folder / METRICS, dict),
            *watchers(self._config, self.folder, batches),
        ]

    def at_epochs(self) -> list[Any]:
        """Returns the callback that writes a checkpoint at the end of an epoch."""
        from tfft.training.callbacks import AtEpochEnd

        return [AtEpochEnd(self._saver.end_epoch)] if self._saver else []

    def interrupted(self) -> None:
        """Writes a checkpoint of this very step."""
        if self._saver:
            with uninterrupted(forget=True):
                self._saver.save()

    def close(self) -> None:
        """Ends the progress bar."""
        if self._progress is not None:
            self._progress.close()

    def _say(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Saver:
    """Writes and reads the checkpoints of a training."""

    def __init__(
        self,
        config: FinetuneConfig,
        folder: Path,
        model: Any,
        keep: Any,
        steps_per_epoch: int,
    ) -> None:
        self._model, self._keep, self._steps = model, keep, steps_per_epoch
        self._state = TrainingState.of(model)
        self._checkpoints = Checkpoints(folder, config.keep_last, config.keep_best)
        self._checkpoints.check_space(self._state)

    def save(self) -> None:
        """Writes the state of the training."""
        with uninterrupted():
            position, keep = self._model.position, self._keep
            facts = {
                "step": position.epoch * self._steps + position.step,
                "position": position.to_dict(),
                "accumulation": self._model.accumulation,
                "score": keep.last_score if keep and position.step == 0 else None,
            }
            self._checkpoints.save(self._state, keep.state() if keep else {}, facts)

    def end_epoch(self, epochs: int) -> None:
        """Moves to the next epoch, and writes that."""
        with uninterrupted():
            self._model.position.begin(epochs)
            self.save()

    def restore(self, folder: Path) -> list[str]:
        """Restores the last good checkpoint of a folder; returns messages for the user.

        Args:
            folder: A run folder; without a checkpoint the training starts over.
        """
        found, notes = Checkpoints(folder).latest()
        said = [f"note: {note}" for note in notes]
        if found:
            self._take(found)
            at = self._model.position
            said.append(f"resuming after epoch {at.epoch}, step {at.step}")
        return said

    def _take(self, found: Checkpoint) -> None:
        from tfft.training.position import Position

        extra = found.restore(self._state)
        self._model.position = Position(**found.facts["position"])
        self._model.accumulation = found.facts["accumulation"]
        if self._keep:
            self._keep.set_state(extra)


def _keep_lines(path: Path, count: int) -> None:
    """Drops the lines of epochs that a resumed training repeats."""
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(path, "".join(lines[:count]))
