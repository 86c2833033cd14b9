"""Compares exported folders with their runs through transformers' own pipelines.

python tools/check_transformers.py PYTHON [CASE …]
python tools/check_transformers.py PYTHON --goldens

The second form rebuilds tests/goldens/exports: a few small runs, their exports, and the
answers of transformers.

PYTHON is an interpreter with torch, transformers and sentence-transformers
(tools/goldens/requirements.txt). For every task and family a small random model is
trained and exported; tools/check_transformers_torch.py sends 50 inputs to the export.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import keras_hub

import tfft
from tfft.models.tokenizer_files import read_tokenizer, word_piece
from tfft.text.tokenizer import Tokenizer
from tfft.text.tokenizer_kinds import Qwen2

ROOT = Path(__file__).resolve().parent.parent
GOLDENS = ROOT / "tests" / "goldens"
INPUTS = 50
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["good", "bad", "Anna", "Paris", "cat", "mat", "the", "saw", "1984", "été"]
SIZES = {"num_layers": 2, "hidden_dim": 32, "intermediate_dim": 48}
TINY = {"num_layers": 1, "hidden_dim": 16, "intermediate_dim": 16}
TOLERANCE = 2e-5
EXPORTS = GOLDENS / "exports"
KEPT = (
    ("bert", "text_classification/pooler"),
    ("bert", "text_classification/mean"),
    ("bert", "question_answering"),
    ("distilbert", "multi_label"),
    ("roberta", "regression"),
    ("gpt2", "token_classification"),
    ("llama", "causal_lm"),
)


def pieces() -> Any:
    """Returns a tokenizer of letters and a few words."""
    words = [word.lower() for word in WORDS]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tails = [f"##{letter}" for letter in LETTERS]
    return word_piece(
        [*special, *dict.fromkeys([*LETTERS, *"0123456789.,?!", *tails, *words])]
    )


def qwen_words() -> Any:
    """Returns a byte-level tokenizer that splits words as Qwen2's class does.

    transformers uses that class for every Qwen2 folder, whatever its files say.
    """
    rules = json.loads(read_tokenizer(GOLDENS / "gpt2-tokenizer").to_json())["model"]
    merges = [tuple(pair) for pair in rules["merges"]]
    end = "<|endoftext|>"
    library = Qwen2().build(rules["vocab"], merges, {}, end)
    library.add_special_tokens([end])
    return Tokenizer(library)


def encoder(kind: str, tokenizer: Any, sizes: Mapping[str, int]) -> Any:
    """Returns a small random encoder."""
    return getattr(keras_hub.models, kind)(
        vocabulary_size=tokenizer.vocabulary_size, num_heads=2,
        max_sequence_length=64, **sizes,
    )  # fmt: skip


def decoder(kind: str, tokenizer: Any, sizes: Mapping[str, int]) -> Any:
    """Returns a small random decoder with grouped keys."""
    return getattr(keras_hub.models, kind)(
        vocabulary_size=tokenizer.vocabulary_size, num_query_heads=4,
        num_key_value_heads=2, **sizes,
    )  # fmt: skip


FAMILIES = {
    "bert": ("BertBackbone", encoder, pieces),
    "distilbert": ("DistilBertBackbone", encoder, pieces),
    "roberta": (
        "RobertaBackbone",
        encoder,
        lambda: read_tokenizer(GOLDENS / "roberta-tokenizer"),
    ),
    **{
        name: (kind, make, lambda: read_tokenizer(GOLDENS / "gpt2-tokenizer"))
        for name, kind, make in (
            ("gpt2", "GPT2Backbone", encoder),
            ("llama", "LlamaBackbone", decoder),
            ("mistral", "MistralBackbone", decoder),
        )
    },
}
FAMILIES["qwen2"] = ("QwenBackbone", decoder, qwen_words)
CAUSAL = ("gpt2", "llama", "qwen2", "mistral")


def sentence(generator: random.Random) -> str:
    """Returns a few words, sometimes more than the models can take."""
    return " ".join(generator.choices(WORDS, k=generator.choice([1, 3, 6, 12, 40])))


def rows(task: str, generator: random.Random) -> dict[str, Any]:
    """Returns a row of a task."""
    text = sentence(generator)
    kind, _, form = task.partition("/")
    if form == "pairs":
        first, second = text, sentence(generator)
        return {"text": first, "second": second, "label": str(len(second) % 3)}
    if kind == "question_answering":
        word = text.split()[-1]
        place = text.rindex(word)
        answer = {"text": word, "answer_start": place}
        return {"question": "the cat?", "context": text, "answers": [answer]}
    if kind == "token_classification":
        tokens = text.split()
        tags = ["B-PER" if one == "Anna" else "B-LOC" if one == "Paris" else "O"
                for one in tokens]  # fmt: skip
        return {"tokens": tokens, "ner_tags": tags}
    more = {
        "text_classification": {"label": "pos" if "good" in text else "neg"},
        "multi_label": {"labels": [w for w in ("good", "bad") if w in text]},
        "regression": {"label": 15 + 3.0 * text.count("a")},
        "causal_lm": {},
    }
    return {"text": text, **more[kind]}


def options(task: str) -> dict[str, Any]:
    """Returns the task's options for `finetune`."""
    kind, _, form = task.partition("/")
    chosen: dict[str, Any] = {"name": kind, "max_length": 32}
    if form == "pairs":
        chosen["text"] = ("text", "second")
    elif form:
        chosen["pooling"] = form
    if kind == "question_answering":
        chosen |= {"max_question": 8, "stride": 8}
    if kind == "token_classification":
        chosen |= {"stride": 8}
    return chosen


def question(task: str, row: dict[str, Any]) -> Any:
    """Returns the input for a trained run that belongs to a row."""
    kind, _, form = task.partition("/")
    if kind == "question_answering":
        return [row["question"], row["context"]]
    if kind == "token_classification":
        return " ".join(row["tokens"])
    if form == "pairs":
        return [row["text"], row["second"]]
    return row["text"][:40] if kind == "causal_lm" else row["text"]


def tasks(family: str) -> list[str]:
    """Returns the tasks that a family supports."""
    own = "pooler" if family == "bert" else "first"
    poolings = ["mean", "weightedmean"] if family in CAUSAL else ["mean", "max", own]
    found = [
        "text_classification",
        "text_classification/pairs",
        *(f"text_classification/{one}" for one in poolings),
        "multi_label",
        "regression",
        "token_classification",
        "question_answering",
    ]
    return [*found, "causal_lm"] if family in CAUSAL else found


def add_case(
    cases: Path,
    family: str,
    task: str,
    sizes: Mapping[str, int] = SIZES,
    epochs: int = 3,
    learning_rate: float = 3e-3,
) -> None:
    """Trains, exports, and writes the run's answers."""
    keras.utils.set_random_seed(1)
    generator = random.Random(7)
    kind, make, make_tokenizer = FAMILIES[family]
    tokenizer = make_tokenizer()
    folder = cases / f"{family} {task}".replace("/", " ")
    run = tfft.finetune(
        model=make(kind, tokenizer, sizes), tokenizer=tokenizer, task=options(task),
        data=[rows(task, generator) for _ in range(60)], method="full",
        output_dir=folder / "run", epochs=epochs, learning_rate=learning_rate,
        batch_size=16, precision="float32", verbose=0,
    )  # fmt: skip
    # No class in transformers splits a text into windows on its own.
    most = 24 if task.startswith(("question", "token")) else 1000
    every = (question(task, rows(task, generator)) for _ in itertools.count())
    texts = ((one, one if isinstance(one, str) else one[1]) for one in every)
    short = (one for one, text in texts if len(text) < most)
    inputs = list(itertools.islice(short, INPUTS))
    if task == "causal_lm":
        answers = [one.text for one in run.generate(inputs, max_new_tokens=8)]
    else:
        answers = run.predict([one if isinstance(one, str) else tuple(one)
                               for one in inputs])  # fmt: skip
    run.export_huggingface(folder / "exported")
    case = {"task": task, "inputs": inputs, "answers": answers}
    (folder / "case.json").write_text(json.dumps(case))


def ask(python: str, cases: Path) -> bool:
    """Prints a line for a case; returns whether transformers answers like the run."""
    script = ROOT / "tools" / "check_transformers_torch.py"
    done = subprocess.run(
        [python, str(script), str(cases)], check=True, stdout=subprocess.PIPE, text=True
    )
    right = True
    for line in done.stdout.splitlines():
        if not line.startswith("{"):
            continue
        one = json.loads(line)
        right &= one["same"] == one["of"] and one["difference"] <= TOLERANCE
        print(
            f"{one['case']:44} {one['by']:24} {one['same']:>3} of {one['of']}"
            f"  {one['difference']:.1e}"
        )
    return right


def keep_goldens(cases: Path) -> None:
    """Copies the files of each case that a test needs into the repository."""
    shutil.rmtree(EXPORTS, ignore_errors=True)
    for case in sorted(cases.iterdir()):
        kept = EXPORTS / case.name.replace(" ", "-")
        shutil.copytree(case / "exported", kept / "exported")
        for name in ("case.json", "transformers.json"):
            shutil.copy(case / name, kept / name)
        for path in sorted((case / "run").iterdir()):
            if path.is_file() and path.suffix in (".safetensors", ".json", ".txt"):
                if not path.name.startswith(("report", "metrics")):
                    (kept / "run").mkdir(exist_ok=True)
                    shutil.copy(path, kept / "run" / path.name)
            elif path.is_dir() and path.name not in ("logs", "checkpoints"):
                shutil.copytree(path, kept / "run" / path.name)
        record = kept / "run" / "run.json"
        record.write_text(record.read_text().replace(str(cases), "exports"))


def main(python: str, *chosen: str) -> int:
    """Prints a line for each case; returns 1 when one differs."""
    with tempfile.TemporaryDirectory() as scratch:
        cases = Path(scratch)
        if chosen == ("--goldens",):
            for family, task in KEPT:
                add_case(cases, family, task, TINY, 20, 1e-2)
            right = ask(python, cases)
            keep_goldens(cases)
            return int(not right)
        for family in FAMILIES:
            for task in tasks(family):
                if not chosen or any(one in f"{family} {task}" for one in chosen):
                    add_case(cases, family, task)
        return int(not ask(python, cases))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
