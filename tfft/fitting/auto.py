"""`method="auto"`: a method and settings for the data, the model and the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.fitting.auto_rules import Facts, Recommendation, choose
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.cost import count
from tfft.fitting.frozen import available_memory
from tfft.fitting.prepare import prepare
from tfft.models.pretrained import load_pretrained
from tfft.runs.folder import RECORD, read_record
from tfft.tasks.task import TASKS, Task

AUTO = "auto"


def recommended(options: Mapping[str, Any]) -> Recommendation:
    """Returns the recommendation for a training; see `tfft.recommend`."""
    given = {"output_dir": None, **options, "method": "lora"}
    return choose(facts_of(FinetuneConfig(**given)))


def facts_of(config: FinetuneConfig) -> Facts:
    """Returns the facts that the rules decide by."""
    from tfft.training.hardware import devices

    task: Task = TASKS.resolve(config.task)
    prepared = prepare(
        task,
        config.data,
        validation=config.validation,
        test=config.test,
        on_bad_rows=config.on_bad_rows,
        seed=config.seed,
    )
    free = available_memory()
    pretrained = load_pretrained(config.model, config.tokenizer)
    gpus, tpus = devices()
    return Facts(
        rows=len(prepared.tables["train"]),
        parameters=count(pretrained.backbone.weights),
        memory=_gpu_memory(free) if gpus else free,
        cores=os.cpu_count() or 1,
        accelerator=bool(gpus or tpus),
    )


def _gpu_memory(otherwise: int) -> int:
    """Returns the free bytes of the first GPU, if its driver reports them."""
    import subprocess

    try:
        said = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return otherwise  # nvidia-smi is not installed
    return int(said.stdout.split()[0]) * 2**20


def without_auto(options: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Returns the options with `method="auto"` replaced, and the reason.

    Options that the user gave stay. A run that resumes keeps the choice it started
    with, whatever memory is free now.

    Args:
        options: The options of `finetune`.
    """
    found = dict(options)
    if found.get("method") != AUTO:
        return found, ""
    record = Path(found.get("output_dir") or "") / RECORD
    if found.get("resume") and record.is_file():
        before = read_record(record.parent)["config"]
        names = ("method", "backbone_dropout", "batch_size")
        return {**{name: before[name] for name in names}, **_all_but_method(found)}, ""
    said = recommended(found)
    return {**said.options, **_all_but_method(found)}, str(said)


def _all_but_method(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "method"}
