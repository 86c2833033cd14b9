"""Searching for options: many trainings over one backbone; read top to bottom."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from tfft.core.config import accepts, field_types, plain_object
from tfft.core.environment import check_environment
from tfft.core.errors import (
    ConfigError,
)
from tfft.core.signals import (
    termination_as_exception,
    uninterrupted,
)
from tfft.core.start import start_tensorflow
from tfft.evaluation.report import REPORTS, metric_named
from tfft.fitting.auto import without_auto
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.config_checks import check_several
from tfft.fitting.finish import save
from tfft.fitting.fit import Fit
from tfft.fitting.messages import interrupted
from tfft.fitting.record import plain_config
from tfft.fitting.search_folder import FREE, TRIALS, begin_search, claimed_search
from tfft.fitting.search_space import searched_space
from tfft.fitting.session import INPUT_OPTIONS, Session
from tfft.fitting.verb_options import TuneOptions
from tfft.methods.method import METHODS, Method
from tfft.runs.folder import LOGS
from tfft.runs.search_result import (
    BEST,
    Search,
    write_result,
)
from tfft.tasks.task import TASKS, Task
from tfft.tuning.config import TuneConfig
from tfft.tuning.space import Space, changes
from tfft.tuning.trials import Trial, ranked, read_trials
from tfft.tuning.workers import Role, role

_ROWS = ("data", "validation", "test")


@accepts(TuneOptions)
def tune(**options: Any) -> Search:
    """Searches for the options with the best score on the validation rows.

    Every trial ends exactly as `finetune` with its options would. But the backbone and
    the encoded rows are loaded once, and networks are traced once for each method and
    rank. With KerasTuner's environment variables set, several processes share a
    search: one chief, which trains nothing, and its workers.

    Args:
        **options: The fields of `TuneConfig` (at least `space`) and `FinetuneConfig`.

    Returns:
        The trials and the best of them. `output_dir` holds the best run and its
        options, unless this process is a worker.

    Raises:
        ConfigError: For invalid options, before any work.
        MissingInputError: For missing data or a missing model.
        DataError: For unusable data or model files, or when no trial has a score.
        OutputInUseError: When the folder is not free.
        InterruptedRunError: When a signal stops it; `resume` continues.
        StorageError: When the disk refuses to read or write.

    ```python
    search = tfft.tune(
        model="bert_base_en", data="news.csv", output_dir="searches/news",
        space={"learning_rate": tfft.log_uniform(1e-5, 1e-3), "rank": [4, 8, 16]})
    search.best.values; search.best_run().predict(["..."])
    ```
    """
    check_environment()
    own = {
        name: options.pop(name) for name in field_types(TuneConfig) if name in options
    }
    tuning = TuneConfig(**own)
    options, reason = without_auto(options)
    config = FinetuneConfig(**options)
    check_several(config, with_folders=False)
    task: Task = TASKS.resolve(config.task)
    method: Method = METHODS.resolve(config.method)
    space = searched_space(tuning.space, task, method)
    folder, me = Path(config.output_dir), role()
    asked = {
        **plain_config(config, task, method),
        **{name: repr(getattr(tuning, name)) for name in field_types(TuneConfig)},
        "space": repr(dict(space.entries)),
    }
    with termination_as_exception(), claimed_search(folder, config, me):
        if me != "worker":
            begin_search(folder, config, asked)
        tuned = _Tuning(tuning, config, options, task, method, space)
        if reason and me != "worker":
            tuned.say(f"auto: {reason}")
        try:
            return tuned.run(me)
        except KeyboardInterrupt as signal:
            fix = "its trials are in the folder; go on with resume"
            raise interrupted(signal, "the search", folder, fix) from signal
        finally:
            tuned.close()


class _Tuning:
    """A search, with its steps in the order in which they happen."""

    def __init__(
        self,
        tuning: TuneConfig,
        config: FinetuneConfig,
        given: Mapping[str, Any],
        task: Task,
        method: Method,
        space: Space,
    ) -> None:
        self.tuning, self.config, self.given, self.space = tuning, config, given, space
        self.folder = Path(config.output_dir)
        self.method, self.task = plain_object(method), plain_object(task)
        metric, _ = REPORTS.get(task.evaluation).monitor
        self.objective = tuning.objective or metric
        higher = metric_named(self.objective).higher_is_better
        self.higher = higher if tuning.direction is None else tuning.direction == "max"
        self.console = Console(quiet=not config.verbose, highlight=False)
        self._session: tuple[str, Session] | None = None
        self._held: tuple[str, Fit] | None = None

    def run(self, me: Role) -> Search:
        start_tensorflow()
        import keras_tuner

        from tfft.tuning.hparams import write_space
        from tfft.tuning.oracles import length_note, make_oracle
        from tfft.tuning.search import run_search

        oracle = make_oracle(
            self.tuning.search,
            self.space.declared(keras_tuner),
            max_trials=self.tuning.max_trials,
            epochs=self.config.epochs,
            higher_is_better=self.higher,
            seed=self.config.seed,
        )
        if me != "worker":
            if note := length_note(oracle):
                self.say(note)
            write_space(self.folder / LOGS, self.space, self.objective)
        timeout = self.tuning.worker_timeout
        run_search(oracle, self.space, self._measure, self._note, self.folder, timeout)
        search = Search(
            self.folder,
            read_trials(self.folder / TRIALS),
            list(self.space.entries),
            self.objective,
            self.higher,
        )
        return search if me == "worker" else self._finish(search)

    def say(self, text: str) -> None:
        """Shows the user a sentence."""
        self.console.print(text, markup=False, soft_wrap=True)

    def _options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return changes(values, self.method, self.task)

    def close(self) -> None:
        """Forgets the session and the best training in memory."""
        if self._session:
            self._session[1].close()
        self._session = self._held = None

    def _session_for(self, options: dict[str, Any]) -> tuple[Session, dict[str, Any]]:
        """Returns what trials of the same inputs share, and their other options."""
        inputs = {k: v for k, v in options.items() if k in INPUT_OPTIONS}
        rest = {k: v for k, v in options.items() if k not in INPUT_OPTIONS}
        key = repr(sorted(inputs.items()))
        if self._session is None or self._session[0] != key:
            self.close()
            gc.collect()  # two backbones at once may be one too many
            config = dataclasses.replace(self.config, **inputs)
            largest = self.space.largest
            self._session = key, Session(config, self.folder, self.say, largest=largest)
        return self._session[1], rest

    def _measure(self, asked: Trial, epochs: int | None) -> Trial:
        """Returns a trial with the result of its training."""
        from tfft.tuning.pruning import Watch

        options = self._options(asked.values)
        if epochs is not None:
            options["epochs"] = epochs
        session, rest = self._session_for(options)
        others = lambda: read_trials(self.folder / TRIALS)  # noqa: E731
        pruning = others if self.tuning.prune else None
        watch = Watch(self.objective, self.higher, pruning)
        fit = session.fit(callbacks=[watch], **rest)
        if not fit.metrics:
            raise ConfigError(
                "there are no validation rows to search by",
                fix="give validation, a share of the rows or a file",
            )
        done = dataclasses.replace(
            asked,
            status="pruned" if watch.pruned else "completed",
            epochs=fit.config.epochs,
            score=fit.metrics[self.objective],
            best_epoch=fit.best_epoch,
            metrics=fit.metrics,
            history=watch.history,
        )
        if ranked([*others(), done], self.higher)[0].name == done.name:
            self._held = done.name, fit
        return done

    def _note(self, trial: Trial) -> None:
        """Shows a trial that has ended: in TensorBoard, and in a sentence."""
        from tfft.tuning.hparams import write_trial

        write_trial(self.folder / LOGS, trial, self.objective)
        values = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in trial.values.items()
        )
        result = f"{trial.status}: {trial.message}"
        if trial.score is not None:
            result = (
                f"{self.objective} {trial.score:.4f} "
                f"(epoch {trial.best_epoch} of {trial.epochs}, {trial.status})"
            )
        self.say(f"trial {trial.name}: {values}: {result}")

    def _finish(self, search: Search) -> Search:
        """Writes the run of the best trial, its options, the table and the picture."""
        from tfft.tuning.picture import draw

        best = search.best
        options = self._options(best.values)
        if self.config.epochs is not None and best.epochs != self.config.epochs:
            options["epochs"] = best.epochs
        with uninterrupted():
            if not (self.folder / BEST).is_dir():
                session, rest = self._session_for(options)
                if self._held and self._held[0] == best.name:
                    fit = self._held[1]
                else:  # trained by another process; trained again, it has the same bits
                    fit = session.fit(**rest)
                save(session, fit, self.folder / BEST)
            kept = {
                name: object() if name in _ROWS and _is_object(value) else value
                for name, value in self.given.items()
                if name not in FREE
            }
            output = {"output_dir": self.folder / "retrained"}
            drawn = draw(search.trials, self.space, self.objective)
            write_result(search, {**kept, **options, **output}, drawn)
        self.console.print(search.table().to_rich())
        self.say(f"best: trial {best.name}, run {self.folder / BEST}")
        self.say(f"its options: tfft finetune --config {search.best_config}")
        return search


def _is_object(rows: Any) -> bool:
    """Returns whether the value is rows of Python, not a path or a share."""
    return not isinstance(rows, str | Path | int | float)
