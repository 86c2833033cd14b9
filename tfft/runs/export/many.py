"""Several runs over one backbone as one SavedModel, an adapter for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.environment import versions
from tfft.core.errors import ConfigError, shorten
from tfft.core.files import one_line, storage_errors, write_json, write_text
from tfft.core.start import start_tensorflow
from tfft.methods.combine import Factors
from tfft.models.places import Place
from tfft.runs.export.files import code, write_server_files
from tfft.runs.export.questions import hard_rows
from tfft.runs.export.saved_model import asked, check
from tfft.runs.load import load
from tfft.runs.run import FineTuned, Run
from tfft.tasks.served.endpoint import Endpoint, Tryout
from tfft.tasks.task import Labels, Task


@dataclass(frozen=True)
class Member:
    """What an export keeps of a run.

    Attributes:
        name: What requests call it.
        task: Its task.
        labels: Its labels by id.
        kernel: Of its head, shape (hidden, outputs).
        bias: Of its head, shape (outputs,).
        updates: Its low-rank updates by place.
        tryout: What it answers to hard texts.
        record: Its `run.json`.
    """

    name: str
    task: Task
    labels: Labels
    kernel: np.ndarray
    bias: np.ndarray
    updates: Mapping[Place, Factors]
    tryout: Tryout
    record: Mapping[str, Any]


def export_many(runs: Sequence[Any] | Mapping[str, Any], directory: str | Path) -> Path:
    """Writes several runs that share a backbone as one SavedModel.

    Each row of a request names its run in the input `adapter`; a batch may mix them,
    and the backbone is computed once. A name that there is not is an error.

    Args:
        runs: Runs, or their folders; or either of these by name. Without names a
            run is called as its folder. They have LoRA, one task of one answer a
            text, and one base model; their labels may differ.
        directory: The model's folder for TF Serving; a version folder, one above
            the highest there, is made in it.

    Returns:
        The version folder.

    Raises:
        ConfigError: For runs that do not go together, naming what differs.
        TfftError: When what was written does not answer as each of the runs does.
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
    # A copy of its own: banks take the places of the adapters.
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
        difference = _prove(folder, members, list(served["serving_default"].inputs))
        with storage_errors(folder):
            _write_beside(folder, members, served, difference)

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
                f"runs of the same name: {', '.join(name for name, _ in listed)}",
                where="export_many",
                fix='give them names: {"first": run, "second": other}',
            )
    if not named:
        raise ConfigError("no runs", where="export_many", fix="give one at least")
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
    """Raises for the first thing in which runs differ that all must share."""
    first_name, first = next(iter(runs.items()))
    for name, run in runs.items():
        if run.task.per_token:
            run.task.served(None, ())  # says which tasks can be
        changed = run.built.adapter.changed_base_variables
        if changed:
            raise ConfigError(
                f"{name} trained the backbone itself, such as {changed[0].path}",
                where="export_many",
                expected="runs with LoRA that leave the backbone as it is",
                fix="export it by itself",
            )
        run.built.adapter.updates()  # refuses other methods
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
    """Returns what all runs of an export have in common."""
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
        run.task.tryout(run.predictor, hard_rows(columns)),
        run.record,
    )


def _with_banks(base: Run, members: Sequence[Member]) -> Any:
    """Returns the model of all members, over the backbone of one of them."""
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
    return lambda outputs: member.task.served(outputs, member.labels)


def _prove(folder: Path, members: Sequence[Member], columns: Sequence[str]) -> float:
    """Returns the largest difference from the runs, asked outside of tfft.

    Raises:
        TfftError: With the row that differs most.
    """
    from tfft.serving.verification import ask_outside

    questions = []
    for one in members:
        named = replace(one.tryout, options={"adapter": one.name})
        questions.append(asked(named, columns[:-1]))
    reply = ask_outside(folder, [question for part in questions for question in part])
    differences, start = [], 0
    for one, part in zip(members, questions, strict=True):
        replies = reply.answers[start : start + len(part)]
        start += len(part)
        own = [_own(outputs, len(one.labels)) for outputs in replies]
        differences.append(check(one, one.tryout, own).difference)
    return max(differences)


def _own(outputs: Mapping[str, Any], labels: int) -> dict[str, Any]:
    """Returns outputs without the places of labels that other runs have."""
    arrays = {name: np.array(value) for name, value in outputs.items()}
    return {
        name: value[:, :labels] if value.ndim == 2 else value
        for name, value in arrays.items()
    }


def _write_beside(
    folder: Path,
    members: Sequence[Member],
    endpoints: Mapping[str, Endpoint],
    difference: float,
) -> None:
    from tfft.serving.warm_up import BATCH_SIZES, write_warm_up

    extra = folder / "assets.extra"
    *texts, adapter = endpoints["serving_default"].inputs
    requests = [
        (
            "serving_default",
            {
                **dict.fromkeys(texts, [text] * size),
                adapter: [members[row % len(members)].name for row in range(size)],
            },
        )
        for size in BATCH_SIZES
        for text in members[0].task.warm_up_texts
    ]
    write_warm_up(folder, requests)
    adapters = {
        one.name: {
            "labels": [str(label) for label in one.labels],
            "data": one.record["data"],
            "metrics": one.record["metrics"],
        }
        for one in members
    }
    details = {"task": members[0].task.name, "adapters": adapters}
    write_json(extra / "tfft.json", {**details, "versions": versions()})
    lines = [
        f"{one_line(one.name)}\t{one_line(str(label))}\n"
        for one in members
        for label in one.labels
    ]
    write_text(extra / "labels.txt", "".join(lines))
    names = "\n".join(f"- {code(one.name)}" for one in members)
    write_text(
        extra / "README.md",
        f"# {members[0].task.name} with {len(members)} adapters\n\n{names}\n\n"
        "Each row names its adapter in the input `adapter`. Labels, data and scores of "
        "each are in tfft.json.\n\nAsked outside of tfft before publishing: numbers "
        f"within {difference:.1e} of each run's.\n",
    )
