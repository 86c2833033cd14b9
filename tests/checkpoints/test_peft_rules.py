"""PEFT's rules for patterns, as PEFT itself applied them to generated configs.

The table holds for each config the modules that PEFT adapted, with rank and scale, and
those that it saves whole. A folder with tensors for exactly these modules must be read
with the same modules and scales: the reader refuses a folder whose tensors are not
those that its config means.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import tfft
from tests.goldens import ROOT
from tfft.checkpoints.peft.folder import CONFIG, WEIGHTS
from tfft.checkpoints.peft.load import parse
from tfft.core.errors import DataError
from tfft.methods.layers.lora import scale_of
from tfft.models.architecture import ARCHITECTURES, architecture_of

FAMILIES = ("bert", "bert-bare", "gpt2", "llama")


def table(family):
    return json.loads((ROOT / "peft-rules" / f"{family}.json").read_text())


def backbone_of(content, family):
    name, sizes = family.split("-")[0], dict(content["sizes"])
    layers = "n_layer" if name == "gpt2" else "num_hidden_layers"
    positions = "n_positions" if name == "gpt2" else "max_position_embeddings"
    sizes |= {layers: content["layers"], "vocab_size": 8, positions: 8}
    if name == "llama":
        sizes["num_key_value_heads"] = 1
    return ARCHITECTURES.get(name)().build({"model_type": name, **sizes})


def numbers(runs):
    for run in runs.split(","):
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)


class Model:
    """The names of a family's modules, and the shapes of their weights."""

    def __init__(self, family):
        content = table(family)
        self.names, self.cases = content["names"], content["cases"]
        self.backbone = backbone_of(content, family)
        self.architecture = architecture_of(self.backbone)
        self.prefix = "" if family == "bert-bare" else self.architecture.prefix
        paths = {v.path: tuple(v.shape) for v in self.backbone.weights}
        self.shapes, self.linear = {}, set()
        for place in self.architecture.places_of(self.backbone):
            for weight in place.weights():
                name = ("" if place.without_prefix else self.prefix) + weight.theirs
                self.shapes[name] = weight.tensor_shape(paths[weight.path])
                if place.kind == "linear" and place.name.startswith("layers."):
                    self.linear.add(self.prefix + place.theirs)

    def in_out(self, name):
        shape = self.shapes.get(f"{name}.weight", (4, 4))
        return shape if self.architecture.prefix == "transformer." else shape[::-1]

    def tensors(self, config, answer):
        """Returns zeros for the modules that PEFT named."""
        found = {}
        for key, runs in answer.items():
            for index in numbers(runs):
                name = self.names[index]
                inputs, outputs = self.in_out(name)
                if key == "saved":
                    found |= {
                        full: shape
                        for full, shape in self.shapes.items()
                        if full.startswith(f"{name}.")
                    }
                elif config["peft_type"] == "IA3":
                    factors = (1, inputs) if key == "inputs" else (outputs, 1)
                    found[f"{name}.ia3_l"] = factors
                else:
                    rank = int(key.split()[0])
                    found[f"{name}.lora_A.weight"] = (rank, inputs)
                    found[f"{name}.lora_B.weight"] = (outputs, rank)
        return {f"base_model.model.{n}": np.zeros(s, "f4") for n, s in found.items()}

    def write(self, folder, config, tensors):
        folder.mkdir(exist_ok=True)
        (folder / CONFIG).write_text(json.dumps(config))
        save_file(tensors, folder / WEIGHTS)
        return folder


def scales(method, places):
    """Returns rank and scale of each adapted module as the method gives them."""
    return {
        name: (
            method.rank_pattern.get(name, method.rank),
            scale_of(
                method.rank_pattern.get(name, method.rank),
                method.alpha_pattern.get(name, method.alpha),
                method.use_rslora,
            ),
        )
        for name in places
    }


def expected(model, answer):
    """Returns what PEFT says of each module, by the name without the prefix."""
    return {
        model.names[index].removeprefix(model.prefix): (
            (int(key.split()[0]), float(key.split()[1])) if " " in key else key
        )
        for key, runs in answer.items()
        if key != "saved"
        for index in numbers(runs)
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_modules_ranks_and_scales_are_pefts(family, tmp_path):
    model = Model(family)
    read = outside = refused = 0
    for config, answer in model.cases:
        failed = isinstance(answer, str)
        tensors = {} if failed else model.tensors(config, answer)
        folder = model.write(tmp_path / "adapter", config, tensors)
        where = f"{family}: {config} -> {answer}"
        adapted = set() if failed else expected(model, answer).keys()
        if failed or not {f"{model.prefix}{name}" for name in adapted} <= model.linear:
            says = r"\w" if failed else "adapters on .* · .*merge_and_unload"
            with pytest.raises(DataError, match=says):
                parse(model.backbone, model.architecture, folder)
            outside, refused = outside + (not failed), refused + failed
            continue
        parsed = parse(model.backbone, model.architecture, folder)
        method = parsed.method
        if config["peft_type"] == "LORA":
            found = scales(method, parsed.adapted)
        else:
            inner = set(method.feedforward)
            found = {
                name: "inputs" if name in inner else "outputs"
                for name in parsed.adapted
            }
        assert found == expected(model, answer), where
        whole = {model.prefix + name for name in method.modules_to_save}
        saved = (
            {
                name
                for index in numbers(answer["saved"])
                for name in model.shapes
                if name.startswith(f"{model.names[index]}.")
            }
            if "saved" in answer
            else set()
        )
        assert whole == {name.rpartition(".")[0] for name in saved}, where
        read += 1
    assert read + outside + refused == len(model.cases)
    assert read > 0.6 * len(model.cases)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layers_compute_with_these_scales(family, tmp_path):
    model = Model(family)
    loras = [
        (config, answer)
        for config, answer in model.cases
        if config["peft_type"] == "LORA"
        and not isinstance(answer, str)
        and {"rank_pattern", "alpha_pattern"} <= config.keys()
        and {model.prefix + n for n in expected(model, answer)} <= model.linear
    ]
    for config, answer in loras[:4]:
        tensors = model.tensors(config, answer)
        folder = model.write(tmp_path / "adapter", config, tensors)
        applied = tfft.load_adapter(model.backbone, folder)
        found = {
            one.place.theirs: (one.layer.rank, one.layer.scale)
            for one in applied.adapter.injected
        }
        assert found == expected(model, answer)
        applied.unload()
