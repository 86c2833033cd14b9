"""The runs of an export with several adapters: compared with it, and described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfft.core.environment import versions
from tfft.core.files import one_line, write_json, write_text
from tfft.methods.combine import Factors
from tfft.models.places import Place
from tfft.runs.export.companion_files import code
from tfft.runs.export.saved_model import asked, check
from tfft.tasks.endpoint import Endpoint, Tryout
from tfft.tasks.task import Labels, Task


@dataclass(frozen=True)
class Member:
    """One run of such an export.

    Attributes:
        name: Its name in requests.
        task: Its task.
        labels: Its labels by id.
        kernel: The kernel of its head, shape (hidden, outputs).
        bias: The bias of its head, shape (outputs,).
        updates: Its low-rank updates by place.
        tryout: The hard texts with its answers.
        record: The content of its `run.json`.
    """

    name: str
    task: Task
    labels: Labels
    kernel: np.ndarray
    bias: np.ndarray
    updates: Mapping[Place, Factors]
    tryout: Tryout
    record: Mapping[str, Any]


def compare_members(
    folder: Path, members: Sequence[Member], columns: Sequence[str]
) -> float:
    """Returns the largest difference from the runs, in a process without tfft.

    Raises:
        TfftError: Names the row that differs most.
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
    """Returns outputs without the columns of labels that only other runs have."""
    arrays = {name: np.array(value) for name, value in outputs.items()}
    return {
        name: value[:, :labels] if value.ndim == 2 else value
        for name, value in arrays.items()
    }


def write_adapter_files(
    folder: Path,
    members: Sequence[Member],
    endpoints: Mapping[str, Endpoint],
    difference: float,
) -> None:
    """Writes `assets.extra`: adapters with their labels, and warm-up requests.

    Args:
        folder: The version folder.
        members: The runs.
        endpoints: The signatures.
        difference: The result of `compare_members`.
    """
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
        for text in members[0].task.served(members[0].labels).warm_up_texts
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
        "Each row names its adapter in the input `adapter`. tfft.json holds the "
        "labels, data and scores of each.\n\nCompared outside of tfft before "
        f"publishing: numbers within {difference:.1e} of each run's.\n",
    )
