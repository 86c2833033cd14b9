"""The methods under contract, and the contracts; a new method needs an entry here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tfft.methods.method import METHODS


@dataclass(frozen=True)
class Field:
    """Values of a config field, each of which must change something.

    Attributes:
        values: The values, other than the one in the entry's options.
        beside: Further options, for a field that means something with them alone.
    """

    values: tuple[Any, ...]
    beside: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One method in the suite.

    Attributes:
        options: A small configuration.
        trains: Beginnings or ends of the paths of the backbone's own variables that
            it trains.
        fields: Other values for every field of its configuration.
        families: The families of backbones, besides BERT, that it works on.
        random: Whether its first values depend on the seed.
    """

    options: dict[str, Any] = field(default_factory=dict)
    trains: tuple[str, ...] = ()
    fields: dict[str, Field] = field(default_factory=dict)
    families: tuple[str, ...] = ("gpt2", "llama")
    random: bool = False

    def is_trained(self, path: str) -> bool:
        return any(path.startswith(one) or path.endswith(one) for one in self.trains)


METHOD_TABLE = {
    "bitfit": Entry(trains=("/bias", "/beta"), families=("gpt2",)),
    "bottleneck": Entry(
        random=True,
        options={"size": 4},
        fields={
            "size": Field((3,)),
            "placement": Field(("houlsby",)),
            "nonlinearity": Field(("gelu", "silu", "tanh")),
            "layers_to_transform": Field(((1,),)),
        },
    ),
    "full": Entry(trains=("",)),
    "head": Entry(),
    "ia3": Entry(
        fields={
            "target": Field((("key", "ffn.down"),)),
            "feedforward": Field(((), ("key", "ffn.down"))),
            "exclude": Field((("key",),)),
            "modules_to_save": Field((("embeddings.norm",),)),
        }
    ),
    "last_layers": Entry(
        options={"count": 1},
        trains=("transformer_layer_1/", "pooled_dense/", "layer_norm/", "output_layer"),
        fields={"count": Field((2,))},
    ),
    "lora": Entry(
        random=True,
        options={"rank": 2, "target": ("all-linear",)},
        fields={
            "rank": Field((3,)),
            "alpha": Field((5.0,)),
            "dropout": Field((0.5,)),
            "target": Field((("query",), ("re:.*key",))),
            "exclude": Field((("ffn.up",),)),
            "layers_to_transform": Field(((1,),)),
            "rank_pattern": Field(({"query": 3},)),
            "alpha_pattern": Field(({"query": 5.0},)),
            "bias": Field(("all", "lora_only")),
            "modules_to_save": Field((("embeddings.norm",),)),
            "use_rslora": Field((True,)),
            "use_dora": Field((True,)),
            "initialization": Field(("pissa",)),
            "learning_rate_ratio": Field((4.0,)),
        },
    ),
    "prefix": Entry(
        random=True,
        options={"length": 3},
        fields={"length": Field((2,)), "layers_to_transform": Field(((1,),))},
    ),
    "prompt": Entry(
        random=True,
        options={"length": 3},
        fields={"length": Field((2,)), "initialization": Field(("random",))},
    ),
    "sparse": Entry(
        options={"fraction": 0.1},
        fields={
            "fraction": Field((0.2,)),
            "score": Field(("fisher",)),
            "fisher_batches": Field((1,), beside={"score": "fisher"}),
            "target": Field((("key",),)),
        },
    ),
}

# Name of the test after `test_`, and what it shows.
CONTRACTS = {
    "identity_at_start": "training starts from the pretrained function, bit for bit",
    "only_own_variables_move": "a step changes what the method trains, and only that",
    "gradient": "gradients equal numerical differences",
    "every_field": "every config field changes something",
    "same_seed": "the same seed gives the same start",
    "merged": "merged equals unmerged; merging twice is refused",
    "unmerged": "unmerging restores every bit",
    "disabled": "disabled equals the base model; enabling again restores every bit",
    "unloaded": "unloading leaves a plain KerasHub backbone",
    "new_process": "saving, then loading in a new process with another seed",
    "serialised": "saving a loaded adapter writes the same files",
    "bfloat16": "works in mixed_bfloat16; its own weights stay float32",
    "compiled": "works in tf.function and XLA, in every state",
    "families": "works on GPT-2 and Llama",
}


def resolve(name: str, **changes: Any) -> Any:
    """Returns a method with the options of its entry."""
    return METHODS.resolve(name, {**METHOD_TABLE[name].options, **changes})


def exception(name: str, contract: str) -> str:
    """Returns what a method declares instead of a contract, or nothing."""
    method = METHODS.get(name)
    if contract in ("merged", "unmerged") and not method.mergeable:
        return "refused"
    if contract == "disabled" and not method.reversible:
        return "refused"
    if contract == "identity_at_start" and not method.identity_at_start:
        return "differs"
    if contract in ("new_process", "serialised") and name == "head":
        return "refused"
    if contract == "families" and len(METHOD_TABLE[name].families) < 2:
        return "GPT-2; Llama refused"
    if contract == "every_field" and not METHOD_TABLE[name].fields:
        return "no fields"
    return ""


def markdown() -> str:
    """Returns the table of methods and contracts for the docs."""
    names = METHODS.names()
    lines = [
        "# Contracts",
        "",
        "A contract is a property that every method, task or architecture must have.",
        "Each cell is a test in `tests/conformance/`; the suite fails for a registered",
        "one that it does not cover. A method may declare that it refuses an operation",
        "or differs; the suite then checks that it does.",
        "`tools/make_contract_table.py` writes this page.",
        "",
        "## Methods",
        "",
        "| | " + " | ".join(f"`{name}`" for name in names) + " |",
        "| --- |" + " :-: |" * len(names),
    ]
    for contract, title in CONTRACTS.items():
        cells = " | ".join(exception(name, contract) or "✓" for name in names)
        lines.append(f"| {title} | {cells} |")
    return "\n".join(lines) + "\n"
