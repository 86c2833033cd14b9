"""Makes tests/goldens/old-runs: runs and an export of an old tfft, with their answers.

The folders must come from the old code, so give it a checkout of that commit:

    git worktree add build/old COMMIT
    PYTHONPATH=build/old python tools/make_run_goldens.py [TASK …]

It trains three tiny models, exports the first, and asks all of them. `answers.json`
keeps every number in full, with the versions and the processor that computed it.
What `load` never reads (logs, HTML, metrics of the epochs) is removed.

Drawn text is not asked for: what a seed draws may change from version to version.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import keras
import keras_hub
import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers

import tfft

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "goldens" / "old-runs"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    *LETTERS, *(f"##{letter}" for letter in LETTERS), "good", "bad", "!",
)  # fmt: skip
HIDDEN, LAYERS, INNER, POSITIONS = 16, 2, 32, 64
TEXTS = [
    "good abc", "bad cab", "", "a good bad!", "zzz good", "Crème brûlée 中文 🙂",
    " \t\n", "bad " * 80, "a good b c a", "good c a b", "b a good!",
]  # fmt: skip
PROMPTS = ["good", "bad a", "the "]
UNREAD = ("logs", "report.html", "metrics.csv", "metrics.jsonl", "report.json")


def write_bert(folder):
    """Writes a tiny BERT with random weights as a Hugging Face folder."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)

    def normal(*shape):
        return draw.normal(0, 0.3, shape).astype("float32")

    tensors = {
        "embeddings.word_embeddings.weight": normal(len(VOCABULARY), HIDDEN),
        "embeddings.position_embeddings.weight": normal(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
    }
    norms, linears = ["embeddings.LayerNorm"], {"pooler.dense": (HIDDEN, HIDDEN)}
    for index in range(LAYERS):
        layer = f"encoder.layer.{index}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            linears[f"{layer}.attention.{name}"] = (HIDDEN, HIDDEN)
        linears[f"{layer}.intermediate.dense"] = (INNER, HIDDEN)
        linears[f"{layer}.output.dense"] = (HIDDEN, INNER)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, shape in linears.items():
        tensors[f"{name}.weight"] = normal(*shape)
        tensors[f"{name}.bias"] = normal(shape[0])
    for name in norms:
        tensors[f"{name}.weight"] = 1 + 0.1 * normal(HIDDEN)
        tensors[f"{name}.bias"] = normal(HIDDEN)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_attention_heads": 2,
        "num_hidden_layers": LAYERS,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1,
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")


def tiny_gpt2():
    """Returns a tiny GPT-2 with random weights, and a tokenizer of bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|start|>", "<|end|>"]
    ids = {token: index for index, token in enumerate([*special, *letters])}
    library = Library(models.BPE(ids, []))
    library.add_special_tokens(special)
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    from tfft.models.tokenizer import Tokenizer

    keras.utils.set_random_seed(0)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=len(ids), num_layers=2, num_heads=2, hidden_dim=16,
        intermediate_dim=32, max_sequence_length=96, dropout=0.0,
    )  # fmt: skip
    return backbone, Tokenizer(library, {"eos": "<|end|>"}, None)


def rows(count, seed):
    """Returns rows whose first word decides the label."""
    draw = random.Random(seed)
    found = []
    for index in range(count):
        word, label = draw.choice([("good", "pos"), ("bad", "neg")])
        text = f"{word} {''.join(draw.choices('abc', k=3))} {index}"
        found.append({"text": text, "label": label})
    return found


def sentences(count, seed):
    """Returns words with tags: `good` begins an entity, `!` continues it."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        words, tags = [draw.choice("abc") for _ in range(6)], ["O"] * 6
        start = draw.randrange(4)
        words[start : start + 2] = ["good", "!"]
        tags[start : start + 2] = ["B-X", "I-X"]
        found.append({"tokens": words, "ner_tags": tags})
    return found


def train(names):
    """Trains the named runs and yields each, loaded from its folder."""
    backbone, tokenizer = tiny_gpt2()
    shared = {"epochs": 12, "learning_rate": 2e-2, "batch_size": 8, "verbose": 0,
              "precision": "float32"}  # fmt: skip
    texts = [{"text": row["text"]} for row in rows(40, 2)]
    cases = {
        "text_classification": {"model": "bert", "data": rows(60, 0)},
        "token_classification": {
            "model": "bert", "data": sentences(40, 0),
            "method": {"name": "last_layers", "count": 1},
        },
        "causal_lm": {"model": backbone, "tokenizer": tokenizer, "data": texts,
                      "method": "lora"},
    }  # fmt: skip
    for name in names or cases:
        options = {**shared, **cases[name]}
        tfft.finetune(task=name, output_dir=name, overwrite=True, **options)
        forget_place(GOLDEN / name)
        yield name, tfft.load(name, None if name == "causal_lm" else "bert")


def forget_place(run):
    """Replaces the path of this checkout in a run folder: its base model has moved."""
    for path in (run / "run.json", run / "adapter" / "adapter_config.json"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(str(GOLDEN), "/models"), encoding="utf-8")


def ask(name, run):
    """Returns what a run answers, and what it is asked."""
    if name == "causal_lm":
        generated = run.generate(PROMPTS, max_new_tokens=12)
        found = [
            {"text": one.text, "token_ids": [*map(int, one.token_ids)],
             "finish": one.finish} for one in generated
        ]  # fmt: skip
        labelled = [{"text": row["text"]} for row in rows(12, 3)]
        asked = {"inputs": PROMPTS, "max_new_tokens": 12}
    else:
        found, asked = run.predict(TEXTS), {"inputs": TEXTS}
        labelled = (rows if name == "text_classification" else sentences)(12, 3)
    metrics = run.evaluate(labelled).metrics
    return {**asked, "answers": found, "rows": labelled, "metrics": metrics}


def served(folder):
    """Returns the outputs of the signatures of an export, in a fresh process."""
    from tfft.serving.verification import ask_outside

    questions = [
        {"signature": name, "inputs": {"text": TEXTS}}
        for name in ("serving_default", "tokenize")
    ]
    return {"questions": questions, "answers": ask_outside(folder, questions).answers}


def pack(version):
    """Replaces an export by an archive: its tables compress to a hundredth."""
    with tarfile.open(GOLDEN / "export.tar.xz", "w:xz", preset=9) as archive:
        archive.add(version, version.name, filter=_anonymous)
    shutil.rmtree(version.parent)


def _anonymous(info):
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def processor():
    """Returns what decides which code TensorFlow and oneDNN run here."""
    sys.path.insert(0, str(ROOT))
    from tests.goldens.old_runs import processor as described

    return described()


def main(argv=None):
    """Writes the golden folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="tasks; the others stay as they are")
    names = parser.parse_args(argv).names
    home = Path(tfft.__file__).parents[1]
    command = ["git", "-C", str(home), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True)
    made = {"commit": commit.stdout.strip(), "processor": processor()}
    if names:
        answers = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))
        if made != {key: answers[key] for key in made}:
            raise SystemExit("another commit, processor or library: make all of them")
    else:
        answers = {**made, "runs": {}}
        shutil.rmtree(GOLDEN, ignore_errors=True)
        write_bert(GOLDEN / "bert")
    os.chdir(GOLDEN)
    for name, run in train(names):
        answers["runs"][name] = ask(name, run)
        if name == "text_classification":
            version = run.export("export")
            answers["export"] = served(version)
            pack(version)
        for unread in UNREAD:
            path = GOLDEN / name / unread
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    text = json.dumps(answers, ensure_ascii=False, indent=1) + "\n"
    (GOLDEN / "answers.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
