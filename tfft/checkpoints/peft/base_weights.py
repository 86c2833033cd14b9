"""The backbone's own weights inside a PEFT adapter: biases and whole modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfft.checkpoints.peft.folder import Folder
from tfft.checkpoints.peft.format import Pairs
from tfft.checkpoints.peft.modules import refuse
from tfft.checkpoints.peft.rules import Rules
from tfft.compute.layers import variables_by_path
from tfft.methods.adapter import Adapter
from tfft.models.architecture import Architecture
from tfft.models.places import Weight

Heads = dict[str, dict[str, np.ndarray]]

# With bias="all" PEFT also writes every bias of a module saved whole below these,
# beside the one that it reads back.
_COPIES = (".modules_to_save.", ".original_module.")


def whole_modules(adapter: Adapter, prefix: str) -> list[str]:
    """Returns the modules of the backbone that train in full, as PEFT names them.

    By their whole names: PEFT would take `norm` for the end of `input_layernorm`.
    """
    trained = {variable.path for variable in adapter.base_variables}
    places = [
        place
        for place in adapter.architecture.places_of(adapter.backbone)
        if {weight.path for weight in place.weights()} <= trained
        and not all(weight.theirs.endswith(".bias") for weight in place.weights())
    ]
    modules = [
        place.theirs if place.beside else prefix + place.theirs for place in places
    ]
    heads = [head for head, table in _tied(adapter) if prefix + table in modules]
    return [*dict.fromkeys(modules), *heads]


def base_tensors(adapter: Adapter, prefix: str) -> dict[str, np.ndarray]:
    """Returns the trained base weights as PyTorch names and keeps them.

    A fused tensor is written whole when any of its parts trains. A tied head is
    written beside its embedding, because PEFT keeps two copies of them.
    """
    trained = {variable.path for variable in adapter.base_variables}
    parts: dict[str, dict[int, np.ndarray]] = {}
    chosen: set[str] = set()
    variables = variables_by_path(adapter.backbone)
    for place in adapter.architecture.places_of(adapter.backbone):
        for weight in place.weights():
            value = weight.from_keras(np.array(variables[weight.path]))
            key = ("" if place.beside else prefix) + _key(adapter, weight)
            parts.setdefault(key, {})[weight.part.index] = value
            if weight.path in trained:
                chosen.add(key)
    found = {
        key: np.concatenate(
            [shares[index] for index in sorted(shares)],
            axis=0 if len(shares) == 1 or shares[0].ndim == 1 else -1,
        )
        for key, shares in parts.items()
        if key in chosen
    }
    tied = {
        f"{head}.weight": found[f"{prefix}{table}.weight"]
        for head, table in _tied(adapter)
        if f"{prefix}{table}.weight" in found
    }
    return {**found, **tied}


def _tied(adapter: Adapter) -> list[tuple[str, str]]:
    """Returns the heads that are an embedding, with that embedding, by module."""
    if not is_tied(adapter.architecture, adapter.backbone):
        return []
    return [
        (head.rpartition(".")[0], table.rpartition(".")[0])
        for head, table in adapter.architecture.copies.items()
    ]


def _key(adapter: Adapter, weight: Weight) -> str:
    """Returns the tensor's name; PEFT moves an adapted layer below `base_layer`."""
    module, _, kind = weight.theirs.rpartition(".")
    adapted = {one.place.theirs for one in adapter.injected}
    return f"{module}.base_layer.{kind}" if module in adapted else weight.theirs


def take(
    rules: Rules,
    architecture: Architecture,
    backbone: Any,
    others: Mapping[str, np.ndarray],
) -> tuple[Pairs, tuple[str, ...], Heads]:
    """Sorts the tensors that are no adapter's into base weights and heads.

    Args:
        rules: The patterns of the folder's config.
        architecture: Knows the names.
        backbone: Has the variables.
        others: The tensors by name.

    Returns:
        Base variables with their values, the places that train in full, and the
        weights of heads by module.

    Raises:
        DataError: For a tensor that nothing explains, or of another shape.
    """
    variables = variables_by_path(backbone)
    weights: dict[str, list[Weight]] = {}
    owners: dict[str, str] = {}
    for place in architecture.places_of(backbone):
        for weight in place.weights():
            weights.setdefault(weight.theirs, []).append(weight)
            owners[weight.theirs] = place.theirs
    tops = {owner.split(".")[0] for owner in owners.values()}
    # PEFT's ensure_weight_tying writes the head without naming it.
    tied = architecture.copies if is_tied(architecture, backbone) else {}
    has_biases = rules.folder.config.get("bias", "none") != "none"
    pairs: Pairs = []
    whole: list[str] = []
    heads: Heads = {}
    problems: list[str] = []
    for name, value in others.items():
        if has_biases and any(part in name for part in _COPIES):
            continue
        plain = name.replace(".base_layer.", ".")
        is_whole = rules.saves(owners.get(plain, ""))
        if plain in weights and (is_whole or (has_biases and plain.endswith(".bias"))):
            for weight in weights[plain]:
                shape = tuple(variables[weight.path].shape)
                if value.shape != weight.tensor_shape(shape):
                    expected = weight.tensor_shape(shape)
                    problems.append(f"{name} has shape {value.shape}, not {expected}")
                else:
                    pairs.append(
                        (variables[weight.path], weight.to_keras(value, shape))
                    )
            if is_whole and owners[plain] not in whole:
                whole.append(owners[plain])
        elif name in tied or (
            name.split(".")[0] not in tops and rules.saves(name.rpartition(".")[0])
        ):
            module, _, kind = name.rpartition(".")
            heads.setdefault(module, {})[kind] = value
        else:
            problems.append(f"{name} is not known")
    refuse(rules.folder, problems)
    _join_tied(rules.folder, tied, others, whole, heads)
    return pairs, tuple(whole), heads


def is_tied(architecture: Architecture, backbone: Any) -> bool:
    """Tells whether the head of a language model is its token embedding."""
    table = backbone.token_embedding
    return architecture.causal and getattr(table, "tie_weights", True)


def _join_tied(
    folder: Folder,
    tied: Mapping[str, str],
    others: Mapping[str, np.ndarray],
    whole: list[str],
    heads: Heads,
) -> None:
    """Drops the head of a language model that is the token embedding.

    PEFT trains the two apart, even where the model ties them; one matrix cannot hold
    both.

    Raises:
        DataError: When they differ.
    """
    for head, embedding in tied.items():
        module, table = head.rpartition(".")[0], embedding.rpartition(".")[0]
        is_language_model = folder.config.get("task_type") == "CAUSAL_LM"
        if module not in heads and not (table in whole and is_language_model):
            continue
        pair = others.get(head), others.get(embedding)
        if any(one is None for one in pair) or not np.array_equal(*pair):
            raise folder.error(
                f"{table} and {module} were trained apart",
                expected="the same values in both, for a model that ties them",
                fix="train with PEFT's ensure_weight_tying=True, or load a base "
                "model with tie_word_embeddings=false",
            )
        heads.pop(module, None)
