"""Compares tfft with what `tools/make_folders.py` wrote beside each folder."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file

from tfft.models.pretrained import load_pretrained
from tfft.models.tokenizer_files import read_tokenizer

SHORT = 12  # texts of which pairs and cuts are in the reference, and tokens of a cut


class Differences(NamedTuple):
    """How much of a folder is otherwise than transformers has it.

    Attributes:
        ids: Texts with other ids.
        pairs: Pairs with other ids or segments.
        cut: Cut texts with other ids.
        tokens: Roles of other tokens.
        outputs: The largest difference of a state or logit.
    """

    ids: int
    pairs: int
    cut: int
    tokens: int
    outputs: float


def compare(root, name) -> Differences:
    """Reads the folder `name` and compares it with its reference."""
    reference = json.loads((root / f"{name}.json").read_text(encoding="utf-8"))
    texts = json.loads((root / "texts.json").read_text(encoding="utf-8"))
    tokenizer = read_tokenizer(root / name)
    found = [one.token_ids for one in tokenizer.encode(texts, None, 100_000)]
    few = texts[:SHORT]
    pairs = tokenizer.encode(few, [texts[0]] * len(few), 100_000)
    segments = reference["segments"]
    if segments[0] is None:  # the model is given none
        segments = [[0] * len(one.token_ids) for one in pairs]
        if "segment_ids" not in load_pretrained(root / name).architecture.inputs:
            segments = [one.segment_ids for one in pairs]
    cut = [one.token_ids for one in tokenizer.encode(few, None, SHORT)]
    tokens = {role: tokenizer.roles.get(role) for role in reference["tokens"]}
    return Differences(
        _count(found, reference["ids"]),
        _count([one.token_ids for one in pairs], reference["pairs"])
        + _count([one.segment_ids for one in pairs], segments),
        _count(cut, reference["cut"]),
        sum(
            token is not None and tokens[role] != token
            for role, token in reference["tokens"].items()
        ),
        _outputs(root, name),
    )


def _count(found, expected) -> int:
    return sum(one != another for one, another in zip(found, expected, strict=True))


def _outputs(root, name) -> float:
    loaded = load_pretrained(root / name, dropout=0.0)
    arrays = load_file(root / f"{name}.safetensors")
    mask = arrays["input.padding_mask"]
    inputs = {"token_ids": arrays["input.token_ids"], "padding_mask": mask}
    if "segment_ids" in loaded.architecture.inputs:
        inputs["segment_ids"] = np.zeros_like(mask)
    outputs = loaded.backbone(inputs, training=False)
    values = loaded.architecture.sequence(outputs)
    if loaded.architecture.causal:
        values = loaded.backbone.token_embedding(values, reverse=True)
    apart = np.abs(np.asarray(values) - arrays["output.values"])
    return float(apart[mask == 1].max())
