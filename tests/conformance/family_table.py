"""The architectures under contract; a new one needs an entry and a golden."""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.table import METHOD_TABLE
from tests.conformance.task_table import TASK_TABLE
from tfft.models.architecture import ARCHITECTURES


@dataclass(frozen=True)
class FamilyEntry:
    """One architecture in the suite; its tensors are those of `tests/goldens/NAME`.

    Attributes:
        targets: The `target_modules` that PEFT 0.21 takes for LoRA by default.
        biases: Whether any layer has a bias.
    """

    targets: tuple[str, ...]
    biases: bool = True


FAMILY_TABLE = {
    "bert": FamilyEntry(("query", "value")),
    "distilbert": FamilyEntry(("q_lin", "v_lin")),
    "gpt2": FamilyEntry(("c_attn",)),
    "llama": FamilyEntry(("q_proj", "v_proj"), biases=False),
    "mistral": FamilyEntry(("q_proj", "v_proj"), biases=False),
    "qwen2": FamilyEntry(("q_proj", "v_proj")),
    "roberta": FamilyEntry(("query", "value")),
}

# Name of the test after `test_`, and what it shows.
FAMILY_CONTRACTS = {
    "every_tensor": "loading needs every tensor of a checkpoint, and uses it",
    "round_trip": "the tensors written are those read, bit for bit",
    "every_weight": "the named places hold every weight of the backbone",
    "targets": "LoRA's default targets are PEFT's",
    "fast": "the fast layers compute what Keras' layers compute",
    "packed": "packed sequences compute what each computes alone",
    "one_step": "one step of each task and method changes only what it may",
}


def family_exception(name: str, contract: str) -> str:
    """Returns what a family declares instead of a contract, or nothing."""
    if contract == "packed" and not ARCHITECTURES.get(name).causal:
        return "not packed"
    return ""


def tasks_of(family: str) -> list[str]:
    """Returns the tasks that a family can learn."""
    causal = ARCHITECTURES.get(family).causal
    return [one for one, entry in TASK_TABLE.items() if causal or not entry.decoder]


def combinations(family: str) -> list[tuple[str, str]]:
    """Returns every pair of a task and a method that suits a family."""
    methods = [one for one in METHOD_TABLE if not refuses(family, one)]
    return [(task, method) for method in methods for task in tasks_of(family)]


def refuses(family: str, method: str) -> bool:
    """Tells whether a method finds nothing to train in a family."""
    return method == "bitfit" and not FAMILY_TABLE[family].biases


def unsuited(task: str, method: str) -> str:
    """Returns why a task does not train by a method, or nothing.

    A language model packs rows, which needs the blocks' own attention, and has no head
    of its own.
    """
    if task != "causal_lm":
        return ""
    return {"prefix": "refused", "prompt": "refused", "head": "no head"}.get(method, "")


def chosen(family: str) -> list[tuple[str, str]]:
    """Returns a pair for every task of a family; all families use every method."""
    methods = [one for one in METHOD_TABLE if not refuses(family, one)]
    first = 3 * list(FAMILY_TABLE).index(family)
    return [
        (task, methods[(first + index) % len(methods)])
        for index, task in enumerate(tasks_of(family))
    ]


def family_markdown() -> str:
    """Returns the table of architectures and contracts for the docs."""
    names = ARCHITECTURES.names()
    pairs = [pair for name in names for pair in combinations(name)]
    total = sum(not unsuited(*pair) for pair in pairs)
    lines = [
        "## Architectures",
        "",
        f"The last row stands for {total} combinations of architecture, task and",
        "method.",
        "",
        "| | " + " | ".join(f"`{name}`" for name in names) + " |",
        "| --- |" + " :-: |" * len(names),
    ]
    for contract, title in FAMILY_CONTRACTS.items():
        cells = " | ".join(family_exception(name, contract) or "✓" for name in names)
        lines.append(f"| {title} | {cells} |")
    return "\n".join(lines) + "\n"
