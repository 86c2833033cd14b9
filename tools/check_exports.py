"""Exports a run of a task and compares its answers to 1,000 real inputs outside tfft.

python tools/check_exports.py MODEL token_classification OUT [--inputs 1000]

MODEL is a Hugging Face folder: all-MiniLM-L6 (tools/model.txt) for tasks on texts. For
causal_lm, a folder with GPT-2's tokenizer files (vocab.json, merges.txt) is enough: a
small GPT-2 with random weights is trained on the mails.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import tfft
from tfft.data.sources import read
from tfft.models.tokenizer_files import read_tokenizer
from tfft.runs.export.questions import Questions
from tfft.runs.export.saved_model import prove

DATA = Path(__file__).parents[1] / "examples" / "data"
ROWS = 96


def mails(count):
    """Returns the first lines of real mails, a few sentences each."""
    texts = [
        text for table in read(DATA / "spam").values() for text in table.column("text")
    ]
    parts = [" ".join(text.split())[:400] for text in texts]
    return list(dict.fromkeys(part for part in parts if len(part) > 20))[:count]


def training(task):
    """Returns the data and options that `finetune` needs besides the model."""
    spam = read(DATA / "spam")["train"].select(range(ROWS))
    texts, labels = spam.column("text"), spam.column("label")
    short = [" ".join(text.split())[:200] for text in texts]
    rows = {
        "text_classification": [
            {"text": t, "label": str(y)} for t, y in zip(short, labels, strict=True)
        ],
        "multi_label": [
            {"text": t, "labels": [str(y), *["long"] * (len(t) > 180)]}
            for t, y in zip(short, labels, strict=True)
        ],
        "regression": [{"text": t, "label": float(t.count("e"))} for t in short],
        "causal_lm": [{"text": t} for t in short],
    }
    data = {
        "token_classification": f"conll:{DATA / 'names'}",
        "question_answering": f"squad:{DATA / 'questions.json'}",
    }
    return data.get(task) or rows[task]


def options(task, folder):
    """Returns a model, a few layers of a real one or a new small one, and a method."""
    if task != "causal_lm":
        lengths = {"question_answering": {"max_length": 96, "stride": 24,
                                          "max_question": 24}}  # fmt: skip
        chosen = lengths.get(task, {"max_length": 64})
        if task == "token_classification":
            chosen["stride"] = 16
        return {"model": folder, "task": {"name": task, **chosen}}
    import keras_hub

    tokenizer = read_tokenizer(Path(folder))
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=tokenizer.vocabulary_size, num_layers=2, num_heads=4,
        hidden_dim=128, intermediate_dim=256, max_sequence_length=256,
    )  # fmt: skip
    return {"model": backbone, "tokenizer": tokenizer, "task": task}


def main(argv=None):
    """Trains, exports and compares; exits with an error when the answers differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("task")
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--inputs", type=int, default=1000)
    arguments = parser.parse_args(argv)
    task = arguments.task
    run = tfft.finetune(
        **options(task, arguments.model),
        data=training(task),
        output_dir=arguments.output_dir / "run",
        method="full" if task != "regression" else "lora",
        epochs=3,
        batch_size=16,
        precision="float32",
        overwrite=True,
        verbose=0,
    )
    version = run.export(arguments.output_dir / "served")
    rows = [(text,) for text in mails(arguments.inputs)]
    if task == "question_answering":
        asked = read(f"squad:{DATA / 'questions.json'}")["train"].column("question")
        rows = [(asked[i % len(asked)], text) for i, (text,) in enumerate(rows)]
    if task == "causal_lm":
        rows = [(text[:80],) for (text,) in rows]
    started = time.perf_counter()
    names = {"question_answering": ["question", "context"], "causal_lm": ["prompt"]}
    texts = [text for row in rows for text in row]
    tryout = run.task.served(run.labels).tryout(run.predictor, rows)
    columns, questions = names.get(task, ["text"]), Questions(texts, tryout, "mails")
    proof = prove(run.predictor, version, columns, questions)
    seconds = time.perf_counter() - started
    said = {json.dumps(one, sort_keys=True) for one in questions.tryout.expected}
    print(
        f"{task}: {proof.rows:,} inputs, {len(said):,} different answers, tokens of "
        f"{proof.texts:,} texts equal, largest difference {proof.difference:.1e}, "
        f"{seconds:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
