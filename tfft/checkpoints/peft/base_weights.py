"""The backbone weights stored in a PEFT adapter: biases and whole modules."""

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

# With bias="all" PEFT writes the biases of a module that is saved whole twice more,
# under these names, and reads back only the plain one.
_COPIES = (".modules_to_save.", ".original_module.")


def whole_modules(adapter: Adapter, prefix: str) -> list[str]:
    """Returns the backbone's modules that train in full, by PEFT's names.

    The names are complete, because PEFT would also match `norm` to `input_layernorm`.
    """
    trained = {variable.path for variable in adapter.base_variables}
    places = [
        place
        for place in adapter.architecture.places_of(adapter.backbone)
        if {weight.path for weight in place.weights()} <= trained
        and not all(weight.theirs.endswith(".bias") for weight in place.weights())
    ]
    modules = [
        place.theirs if place.without_prefix else prefix + place.theirs
        for place in places
    ]
    heads = [head for head, table in _tied(adapter) if prefix + table in modules]
    return [*dict.fromkeys(modules), *heads]


def base_tensors(adapter: Adapter, prefix: str) -> dict[str, np.ndarray]:
    """Returns the trained base weights by PyTorch's names, in its layout.

    A fused tensor is written whole if any of its parts trains. A tied head is written
    as well as its embedding, because PEFT stores both.
    """
    trained = {variable.path for variable in adapter.base_variables}
    parts: dict[str, dict[int, np.ndarray]] = {}
    chosen: set[str] = set()
    variables = variables_by_path(adapter.backbone)
    for place in adapter.architecture.places_of(adapter.backbone):
        for weight in place.weights():
            value = weight.from_keras(np.array(variables[weight.path]))
            key = ("" if place.without_prefix else prefix) + _key(adapter, weight)
            parts.setdefault(key, {})[weight.share.index] = value
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
    """Returns pairs of modules that are tied: the head and its embedding."""
    if not is_tied(adapter.architecture, adapter.backbone):
        return []
    return [
        (head.rpartition(".")[0], table.rpartition(".")[0])
        for head, table in adapter.architecture.copies.items()
    ]


def _key(adapter: Adapter, weight: Weight) -> str:
    """Returns a tensor's name; that of an adapted layer contains `base_layer`."""
    module, _, kind = weight.theirs.rpartition(".")
    adapted = {one.place.theirs for one in adapter.injected}
    return f"{module}.base_layer.{kind}" if module in adapted else weight.theirs


def take(
    rules: Rules,
    architecture: Architecture,
    backbone: Any,
    others: Mapping[str, np.ndarray],
) -> tuple[Pairs, tuple[str, ...], Heads]:
    """Sorts the tensors that belong to no adapter into base weights and heads.

    Args:
        rules: The patterns of the folder's config.
        architecture: Gives the names.
        backbone: Gives the variables.
        others: The tensors by name.

    Returns:
        Base variables with their values, the places that train in full, and the
        weights of heads by module.

    Raises:
        DataError: For an unknown tensor, or one of the wrong shape.
    """
    variables = variables_by_path(backbone)
    weights: dict[str, list[Weight]] = {}
    owners: dict[str, str] = {}
    for place in architecture.places_of(backbone):
        for weight in place.weights():
            weights.setdefault(weight.theirs, []).append(weight)
            owners[weight.theirs] = place.theirs
    tops = {owner.split(".")[0] for owner in owners.values()}
    # With ensure_weight_tying PEFT writes the head without listing it in the config.
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
    """Returns whether the head of a language model is its token embedding."""
    table = backbone.token_embedding
    return architecture.causal and getattr(table, "tie_weights", True)


def _join_tied(
    folder: Folder,
    tied: Mapping[str, str],
    others: Mapping[str, np.ndarray],
    whole: list[str],
    heads: Heads,
) -> None:
    """Removes a language model head that is tied to the token embedding.

    PEFT trains the two separately even if the model ties them. One matrix cannot hold
    both results.

    Raises:
        DataError: When the two differ.
    """
    for head, embedding in tied.items():
        module, table = head.rpartition(".")[0], embedding.rpartition(".")[0]
        is_language_model = folder.config.get("task_type") == "CAUSAL_LM"
        if module not in heads and not (table in whole and is_language_model):
            continue
        pair = others.get(head), others.get(embedding)
        if any(one is None for one in pair) or not np.array_equal(*pair):
            raise folder.error(
                f"{table} and {module} were trained separately",
                expected="equal values in both, since the model ties them",
                fix="train with PEFT's ensure_weight_tying=True, or load a base "
                "model with tie_word_embeddings=false",
            )
        heads.pop(module, None)
