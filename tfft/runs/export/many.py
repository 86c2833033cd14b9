"""Exports several runs of one backbone as one SavedModel; each row picks its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.errors import ConfigError, shorten
from tfft.core.files import storage_errors
from tfft.core.start import start_tensorflow
from tfft.runs.export.adapter_bank import (
    Member,
    compare_members,
    write_adapter_files,
)
from tfft.runs.export.companion_files import write_server_files
from tfft.runs.export.questions import hard_rows
from tfft.runs.load import load
from tfft.runs.run import FineTuned, Run


def export_many(runs: Sequence[Any] | Mapping[str, Any], directory: str | Path) -> Path:
    """Writes several runs that share a backbone as one SavedModel.

    Each row of a request names its run in the input `adapter`. One batch may mix
    several, and the backbone is computed once. An unknown adapter name is an error.

    Args:
        runs: Runs or run folders, in a list or by name. In a list each is named after
            its folder. All use LoRA, share the base model and the task, and the task
            gives one answer for a text. Their labels may differ.
        directory: The model's folder for TF Serving. A new version folder is made in
            it, numbered one above the highest.

    Returns:
        The version folder.

    Raises:
        ConfigError: When the runs cannot share an export; it names the difference.
        TfftError: When the export does not answer as each of the runs does.
        StorageError: When the disk refuses.
    """
    start_tensorflow()
    from tfft.serving.many import endpoints
    from tfft.serving.saved_model import publish
    from tfft.serving.text_to_ids import TextToIds

    named = _named(runs)
    opened = [(name, _opened(run)) for name, run in named.items()]
    _check_together(dict(opened))
    columns = len(opened[0][1].task.text)
    members = [_member(name, run, columns) for name, run in opened]
    # A copy of its own, because banks replace the adapters in it.
    base = load(opened[0][1].folder)
    model = _with_banks(base, members)
    tokenizer = TextToIds(
        base.built.pretrained.tokenizer, base.task.max_length, base.task.tail_tokens
    )
    answers = [_answer(one) for one in members]
    names = [one.name for one in members]
    served = endpoints(model, tokenizer, columns, names, answers)
    served["tokenize"] = tokenizer.endpoint()

    def finish(folder: Path) -> None:
        difference = compare_members(
            folder, members, list(served["serving_default"].inputs)
        )
        with storage_errors(folder):
            write_adapter_files(folder, members, served, difference)

    version = publish(served, Path(directory), finish=finish)
    with storage_errors(Path(directory)):
        write_server_files(Path(directory))
    return version


def _named(runs: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(runs, Mapping):
        named = dict(runs)
    else:
        listed = [(_name(run), run) for run in runs]
        named = dict(listed)
        if len(named) < len(listed):
            raise ConfigError(
                f"several runs have the same name: {', '.join(n for n, _ in listed)}",
                where="export_many",
                fix='give them names: {"first": run, "second": other}',
            )
    if not named:
        raise ConfigError("no runs", where="export_many", fix="give at least one run")
    return named


def _name(run: Any) -> str:
    return run.name if isinstance(run, FineTuned) else Path(run).name


def _opened(run: Any) -> Run:
    if isinstance(run, Run):
        return run
    if isinstance(run, FineTuned):
        raise ConfigError(
            f"{run.name} answers for several runs",
            where="export_many",
            expected="runs or their folders",
            fix="export it by itself",
        )
    return load(run)


def _check_together(runs: Mapping[str, Run]) -> None:
    """Checks that runs can share an export.

    Raises:
        ConfigError: Names the first difference.
    """
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        if run.task.per_token:
            raise ConfigError(
                f"{run.task.name} answers for each token",
                expected="a task with one answer for a text, such as "
                "text_classification",
                fix="export each run by itself",
            )
        changed = run.built.adapter.changed_base_variables
        if changed:
            raise ConfigError(
                f"{name} also trained weights of the backbone: {changed[0].path}",
                where="export_many",
                expected="LoRA runs that did not train the backbone's own weights",
                fix="export it by itself",
            )
        run.built.adapter.updates()  # raises for other methods
        for what, value in _shared(run).items():
            expected = _shared(first)[what]
            if value != expected:
                raise ConfigError(
                    f"{name} has {what} {shorten(value)}",
                    where="export_many",
                    expected=f"{shorten(expected)}, as {first_name} has",
                    fix="export it by itself",
                )


def _shared(run: Run) -> dict[str, Any]:
    """Returns the properties that all runs of an export must have in common."""
    model = run.record["model"]
    return {
        "the task": run.task.name,
        "the base model": model["fingerprint"] or str(run.folder),
        "text columns": len(run.task.text),
        "max_length": run.task.max_length,
        "tail_tokens": run.task.tail_tokens,
        "pooling": run.model.pooling,
    }


def _member(name: str, run: Run, columns: int) -> Member:
    adapter = run.built.adapter
    by_name = adapter.updates()
    places = {one.place.name: one.place for one in adapter.injected}
    kernel, bias = (np.array(one) for one in run.model.head_variables)
    return Member(
        name,
        run.task,
        run.labels,
        kernel,
        bias,
        {places[place]: factors for place, factors in by_name.items()},
        run.task.served(run.labels).tryout(run.predictor, hard_rows(columns)),
        run.record,
    )


def _with_banks(base: Run, members: Sequence[Member]) -> Any:
    """Returns the model of all members, on the backbone of one of them."""
    from tfft.methods.inject import wrap
    from tfft.methods.layers.lora_bank import LoRABank
    from tfft.serving.many import ManyHeads, Selection

    backbone = base.built.adapter.unload()
    selection = Selection()
    places = dict.fromkeys(place for one in members for place in one.updates)
    for place in places:
        updates = [one.updates.get(place) for one in members]
        wrap(
            backbone,
            place.path,
            lambda layer, updates=updates: LoRABank(layer, updates, selection),
        )
    summary = base.model.below_head()
    kernels, biases = [one.kernel for one in members], [one.bias for one in members]
    return ManyHeads(summary, kernels, biases, selection)


def _answer(member: Member) -> Any:
    return member.task.served(member.labels).answer
