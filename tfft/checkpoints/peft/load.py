"""Reads a PEFT adapter folder, completely or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from tfft.checkpoints.peft.base_weights import Heads, take
from tfft.checkpoints.peft.folder import Folder, read_folder, unknown_type
from tfft.checkpoints.peft.format import PEFT_FORMATS, Pairs, PeftFormat, format_of
from tfft.checkpoints.peft.modules import (
    Module,
    Sorted,
    modules_of,
    refuse,
)
from tfft.checkpoints.peft.rules import Rules
from tfft.core.errors import shorten
from tfft.methods.adapter import Adapter
from tfft.methods.method import Method, expect_plain
from tfft.models.architecture import Architecture


@dataclasses.dataclass(frozen=True)
class ParsedFolder:
    """The parsed content of a folder, before any change.

    Attributes:
        folder: The folder.
        kind: Its format.
        method: The method in its config.
        modules: The modules that can be adapted.
        adapted: The tensors of each adapted module.
        base: Base variables with their values.
        heads: The weights of heads, by module.
    """

    folder: Folder
    kind: PeftFormat
    method: Method
    modules: dict[str, Module]
    adapted: dict[str, dict[str, np.ndarray]]
    base: Pairs
    heads: Heads


def parse(backbone: Any, architecture: Architecture, path: Path) -> ParsedFolder:
    """Reads a folder and checks it against a backbone, which is not changed.

    Raises:
        MissingInputError: When a file is missing.
        DataError: For anything that does not fit or is not implemented.
    """
    folder = read_folder(path)
    if folder.config.get("peft_type") not in PEFT_FORMATS.names():
        raise unknown_type(folder, PEFT_FORMATS.names())
    kind = PEFT_FORMATS.get(folder.config["peft_type"])()
    # Before the tensors, because such a field may explain their unknown names.
    folder.refuse_unless_default(kind.not_implemented, kind.unmergeable)
    modules = modules_of(backbone, architecture)
    tensors = Sorted(folder, architecture, modules, kind.endings)
    default = kind.method().places(architecture, backbone.num_layers)
    rules = Rules(folder, tensors.prefix, [place.theirs for place in default])
    _expect_targets(rules, modules, tensors.adapted.keys(), kind.endings[0])
    method, adapted = kind.read(folder, rules, backbone, modules, tensors.adapted)
    base, whole, heads = take(rules, architecture, backbone, tensors.others)
    method = dataclasses.replace(method, modules_to_save=whole)
    return ParsedFolder(folder, kind, method, modules, adapted, base, heads)


def _expect_targets(
    rules: Rules, modules: Mapping[str, Module], found: Set[str], ending: str
) -> None:
    """Checks that the modules in the config are those that have tensors.

    Raises:
        DataError: When they differ, or there are none.
    """
    wanted = {name for name in modules if rules.targets(name)}
    if not wanted and not found:
        raise rules.folder.error(
            f"target_modules: {shorten(rules.target)} matches no layer",
            expected="modules inside the layers of the model",
            fix="use the model that it was trained on",
        )
    problems = [f"{name}.{ending} is missing" for name in wanted - found]
    problems += [
        f"{name} is not known to the config's target_modules" for name in found - wanted
    ]
    refuse(rules.folder, sorted(problems))


def read_peft(
    backbone: Any, architecture: Architecture, path: Path, seed: int = 0
) -> tuple[Adapter, Heads]:
    """Applies the adapter of a folder to a plain backbone.

    Returns:
        The adapter, and the weights of heads by module.

    Raises:
        MissingInputError: When a file is missing.
        DataError: For an unusable folder. The backbone then stays unchanged.
    """
    expect_plain(backbone)
    read = parse(backbone, architecture, path)
    adapter = read.method.apply(backbone, architecture, seed)
    _assign(adapter, read)
    return adapter, read.heads


def load_peft(adapter: Adapter, path: Path) -> Heads:
    """Loads the weights of a folder into an adapter of the same method.

    Returns:
        The weights of heads by module.

    Raises:
        MissingInputError: When a file is missing.
        DataError: When rank, scale or layers differ from the adapter's.
    """
    read = parse(adapter.backbone, adapter.architecture, path)
    kind = format_of(adapter.method)
    ours = {one.place.theirs for one in adapter.injected}
    problems = [f"{name} is missing" for name in sorted(ours - read.adapted.keys())]
    problems += [f"{name} is not known" for name in sorted(read.adapted.keys() - ours)]
    if type(read.method) is not type(adapter.method):
        problems = [f"it holds {read.method.name}, not {adapter.method.name}"]
    elif not problems:
        problems = kind.differences(adapter, read.method)
    if problems:
        raise read.folder.error(
            f"the folder holds a different adapter: {'; '.join(problems)}",
            expected="the adapter of this method",
            fix="apply the method that it was trained with, or use load_adapter",
        )
    _assign(adapter, read)
    return read.heads


def _assign(adapter: Adapter, read: ParsedFolder) -> None:
    pairs = read.kind.values(adapter, read.modules, read.adapted)
    for variable, value in [*pairs, *read.base]:
        variable.assign(value)
