"""Named entities with transformers."""

from __future__ import annotations

import tempfile
from typing import Any

from datasets import Dataset
from seqeval.metrics import f1_score
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

from bench_peers.peer import Stopwatch, finish, parser
from bench_peers.sentences import TAGS, sentences
from bench_peers.torch_clock import Clock, trainable


def main() -> None:
    """Trains the whole model; the last epoch is measured."""
    added = parser()
    added.add_argument("--epochs", type=int, default=2)
    options = added.parse_args()
    set_seed(options.seed)
    train, test = sentences(options.assets, options.rows)
    folder = str(options.assets / "minilm")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForTokenClassification.from_pretrained(
        folder, num_labels=len(TAGS), attn_implementation="sdpa"
    )
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as output:
        settings = TrainingArguments(
            output_dir=output,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=32,
            learning_rate=2e-4,
            lr_scheduler_type="linear",
            warmup_steps=0.1,
            weight_decay=0.01,
            train_sampling_strategy="group_by_length",
            bf16=options.precision == "bfloat16",
            use_cpu=True,
            logging_strategy="epoch",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=options.seed,
        )
        encoded = _encode(tokenizer, train)
        trainer = Trainer(
            model=model,
            args=settings,
            train_dataset=encoded,
            data_collator=DataCollatorForTokenClassification(tokenizer),
            callbacks=[Clock(watch)],
        )
        trainer.train()
        losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
        found = trainer.predict(_encode(tokenizer, test))
    tokens = sum(map(len, encoded["input_ids"]))
    finish(
        work={
            "rows": len(train),
            "tokens": tokens,
            "epochs": options.epochs,
            "steps": trainer.state.global_step // options.epochs,
            "trainable": trainable(trainer.model),
            "precision": options.precision,
        },
        figures=watch.figures(rows=len(train), tokens=tokens),
        quality={
            "entity_f1": _f1(found.predictions.argmax(-1), found.label_ids),
            "training_loss": losses[-1],
        },
        settings={
            "method": "full",
            "batches": "32 sentences of like length, padded to the longest",
            "attention": trainer.model.config._attn_implementation,
            "numbers": f"{options.precision} by autocast",
        },
    )


def _encode(tokenizer: Any, rows: list[dict]) -> Dataset:
    """Returns ids, and the tag of each word at its first token."""
    encoded = tokenizer(
        [row["tokens"] for row in rows],
        is_split_into_words=True,
        truncation=True,
        max_length=128,
    )
    labels = []
    for at, row in enumerate(rows):
        words = encoded.word_ids(at)
        labels.append(
            [
                -100
                if word is None or word == before
                else TAGS.index(row["ner_tags"][word])
                for before, word in zip([None, *words], words, strict=False)
            ]
        )
    return Dataset.from_dict({**encoded, "labels": labels})


def _f1(predicted: Any, gold: Any) -> float:
    pairs = [
        [(TAGS[p], TAGS[g]) for p, g in zip(*both, strict=True) if g != -100]
        for both in zip(predicted, gold, strict=True)
    ]
    return float(
        f1_score(
            [[g for _, g in row] for row in pairs],
            [[p for p, _ in row] for row in pairs],
        )
    )


if __name__ == "__main__":
    main()
