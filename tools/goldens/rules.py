"""The modules that PEFT adapts for a config, with their scale: a table of cases."""

from __future__ import annotations

import copy
import json
import random
import re
import warnings
from pathlib import Path
from typing import Any

import peft
import torch
import transformers as hf
from peft.utils import ModulesToSaveWrapper

from goldens import golden

_CASES = 200
# More than nine layers, so that layer 1 can be confused with layer 10.
_LAYERS = 11
_SIZES = {
    "bert": {"hidden_size": 4, "intermediate_size": 6, "num_attention_heads": 1},
    "gpt2": {"n_embd": 4, "n_inner": 6, "n_head": 1},
    "llama": {"hidden_size": 4, "intermediate_size": 6, "num_attention_heads": 1},
}
_JUNK = ("q_proj", "query", "c_attn", "dense", "W_pack", "uery", "layer", "0")


def _models() -> dict[str, tuple[Any, str]]:
    bert = {**_SIZES["bert"], "num_hidden_layers": _LAYERS, "vocab_size": 8}
    gpt2 = {**_SIZES["gpt2"], "n_layer": _LAYERS, "vocab_size": 8, "n_positions": 8}
    llama = {**_SIZES["llama"], "num_hidden_layers": _LAYERS, "vocab_size": 8}
    bert["max_position_embeddings"] = 8
    return {
        "bert": (hf.BertForSequenceClassification(hf.BertConfig(**bert)), "SEQ_CLS"),
        "bert-bare": (hf.BertModel(hf.BertConfig(**bert)), "FEATURE_EXTRACTION"),
        "gpt2": (hf.GPT2LMHeadModel(hf.GPT2Config(**gpt2)), "CAUSAL_LM"),
        "llama": (hf.LlamaForCausalLM(hf.LlamaConfig(**llama)), "CAUSAL_LM"),
    }


class _Generator:
    """Draws configs from the names of a model's linear modules."""

    def __init__(self, names: list[str], seed: int) -> None:
        self.random, self.names = random.Random(seed), names
        self._every = names

    def _narrow(self) -> None:
        """Uses only two kinds of modules, so that patterns meet targets."""
        kinds = sorted({re.sub(r"\d+", "#", name) for name in self._every})
        kept = self.random.sample(kinds, 2)
        self.names = [n for n in self._every if re.sub(r"\d+", "#", n) in kept]

    def entry(self) -> str:
        """A whole name or one of its tails, sometimes from another model."""
        if self.random.random() < 0.08:
            return self.random.choice(_JUNK)
        parts = self.random.choice(self.names).split(".")
        return ".".join(parts[self.random.randrange(len(parts)) :])

    def expression(self) -> str:
        """A regular expression as people write them."""
        name = self.random.choice(self.names)
        layer = self.random.choice([r"\d+", "[0-4]", "(1|3|10)", ".*", r"\d", "1."])
        shape = re.sub(r"(?<=\.)\d+(?=\.)", lambda _: layer, name)
        head, _, tail = shape.rpartition(".")
        other = self.random.choice(self.names).rsplit(".", 1)[-1]
        return self.random.choice(
            [
                shape,
                f"^{shape}$",
                shape.replace(".", r"\."),
                f".*{tail}",
                f"{head}.({tail}|{other})",
                f".*({tail}|{other})$",
                rf".*\.{tail}",
                f"(?!.*1).*{tail}",
            ]
        )

    def entries(self, most: int) -> list[str]:
        return [self.entry() for _ in range(self.random.randint(1, most))]

    def numbers(self, low: int, high: int) -> dict[str, int]:
        """A rank or alpha pattern of up to three keys."""
        keys = []
        for _ in range(self.random.randint(1, 3)):
            kind = self.random.random()
            if kind < 0.4:
                keys.append(self.entry())
            elif kind < 0.6:
                keys.append("^" + self.random.choice(self.names))
            elif kind < 0.7:
                keys.append("|".join(self.entries(2)))
            else:
                keys.append(self.expression())
        return {key: self.random.randint(low, high) for key in keys}

    def layers(self) -> dict[str, Any]:
        draw = self.random
        chosen = draw.choice([draw.randrange(12), draw.sample(range(12), 3), []])
        pattern = draw.choice(
            [None, None, "layer", "h", "layers", ["layers", "h", "layer"], [], "er"]
        )
        fields = {"layers_to_transform": chosen, "layers_pattern": pattern}
        return {key: value for key, value in fields.items() if value is not None}

    def config(self) -> dict[str, Any]:
        draw, config = self.random, {}
        self._narrow()
        is_list = draw.random() < 0.6
        config["target_modules"] = self.entries(3) if is_list else self.expression()
        if draw.random() < 0.06:
            config["target_modules"] = draw.choice(["all-linear", None])
            is_list = False
        if draw.random() < 0.35:
            config["exclude_modules"] = draw.choice(
                [self.entries(2), self.expression(), self.entry()]
            )
        if draw.random() < 0.2:
            config["modules_to_save"] = self.entries(1)
        if draw.random() < 0.2:
            return {"peft_type": "IA3", **self._ia3(config)}
        if is_list and draw.random() < 0.4:
            config |= self.layers()
        config |= {"r": draw.randint(1, 4), "lora_alpha": draw.randint(1, 16)}
        for key, low, high in (("rank_pattern", 1, 4), ("alpha_pattern", 1, 16)):
            if draw.random() < 0.5:
                config[key] = self.numbers(low, high)
        if draw.random() < 0.2:
            config["use_rslora"] = True
        return {"peft_type": "LORA", **config}

    def _ia3(self, config: dict[str, Any]) -> dict[str, Any]:
        target = config["target_modules"]
        if isinstance(target, list):
            return {**config, "feedforward_modules": target[1:]}
        if target is None:
            return config
        return {**config, "feedforward_modules": self.expression()}


def _runs(indices: list[int]) -> str:
    """Writes sorted numbers as ranges, such as 3-5,9."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _answer(model: Any, task: str, config: dict[str, Any], names: list[str]) -> Any:
    """Returns the modules that PEFT adapts for a config, with rank and scale.

    Also sets the config's `modules_to_save` to the value that PEFT writes.
    """
    fields = {**copy.deepcopy(config), "task_type": task}
    kind = fields.pop("peft_type")
    cls = {"LORA": peft.LoraConfig, "IA3": peft.IA3Config}[kind]
    adapted = peft.get_peft_model(copy.deepcopy(model), cls(**fields))
    # PEFT adds a classifier's head, so a saved file contains it.
    if saved := adapted.peft_config["default"].modules_to_save:
        config["modules_to_save"] = sorted(saved)
    found: dict[str, list[int]] = {}
    for name, module in adapted.base_model.model.named_modules():
        if isinstance(module, ModulesToSaveWrapper):
            key = "saved"
        elif kind == "LORA" and isinstance(module, peft.tuners.lora.LoraLayer):
            key = f"{module.r['default']} {module.scaling['default']!r}"
        elif kind == "IA3" and isinstance(module, peft.tuners.ia3.IA3Layer):
            key = "inputs" if module.is_feedforward else "outputs"
        else:
            continue
        found.setdefault(key, []).append(names.index(name))
    return {key: _runs(indices) for key, indices in sorted(found.items())}


def _table(name: str, model: Any, task: str, seed: int) -> dict[str, Any]:
    names = [name for name, _ in model.named_modules() if name]
    linear = (torch.nn.Linear, hf.pytorch_utils.Conv1D)
    inner = [n for n in names if isinstance(model.get_submodule(n), linear)]
    generator = _Generator([n for n in inner if re.search(r"\.\d+\.", n)], seed)
    cases: list[list[Any]] = []
    failures = 0
    while len(cases) < (_CASES if name != "bert-bare" else 40):
        config = generator.config()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer: Any = _answer(model, task, config, names)
        except Exception as error:  # an exception is PEFT's result too
            failures += 1
            if failures > _CASES // 20:
                continue
            answer = type(error).__name__
        cases.append([config, answer])
    return {"names": names, "cases": cases}


@golden("peft-rules")
def _rules(folder: Path) -> None:
    for index, (name, (model, task)) in enumerate(_models().items()):
        table = _table(name, model, task, 300 + index)
        lines = [json.dumps(case) for case in table["cases"]]
        text = f'{{"sizes": {json.dumps(_SIZES[name.split("-")[0]])}, "layers": '
        text += f'{_LAYERS},\n"names": {json.dumps(table["names"])},\n"cases": [\n'
        text += ",\n".join(lines) + "\n]}\n"
        (folder / f"{name}.json").write_text(text)
