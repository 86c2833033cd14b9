"""Text classification with transformers and PEFT."""

from __future__ import annotations

import tempfile
from typing import Any

from datasets import Dataset
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from bench_peers.mails import LABELS, MAX_LENGTH, macro_f1, mails
from bench_peers.peer import Stopwatch, finish, parser
from bench_peers.torch_clock import Clock, trainable

LINEAR = ["query", "key", "value", "intermediate.dense", "output.dense"]


def main() -> None:
    """Trains; measures the last epoch and the whole training."""
    added = parser()
    added.add_argument("--method", choices=("lora", "head"), default="lora")
    added.add_argument("--epochs", type=int, default=2)
    options = added.parse_args()
    set_seed(options.seed)
    train, test = mails(options.assets, options.rows)
    folder = str(options.assets / "minilm")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as output:
        settings = TrainingArguments(
            output_dir=output,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=32,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            weight_decay=0.0,
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
            model=_model(folder, options.method),
            args=settings,
            train_dataset=encoded,
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[Clock(watch)],
        )
        trainer.train()
        losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
        # Grouping by length would also reorder the predictions.
        settings.train_sampling_strategy = "random"
        logits = trainer.predict(_encode(tokenizer, test)).predictions
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
            "macro_f1": macro_f1(logits.argmax(-1), test),
            "training_loss": losses[-1],
        },
        settings={
            "method": options.method,
            "batches": "16 rows of like length, padded to the longest",
            "attention": trainer.model.config._attn_implementation,
            "numbers": f"{options.precision} by autocast",
        },
    )


def _model(folder: str, method: str) -> Any:
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=len(LABELS),
        attn_implementation="sdpa",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        classifier_dropout=0.1,
    )
    if method == "head":
        model.base_model.requires_grad_(False)
        return model
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=8,
        lora_alpha=16,
        lora_dropout=0.0,
        target_modules=LINEAR,
    )
    return get_peft_model(model, config)


def _encode(tokenizer: Any, rows: list[dict]) -> Dataset:
    encoded = tokenizer(
        [row["text"] for row in rows], truncation=True, max_length=MAX_LENGTH
    )
    labels = [LABELS.index(row["label"]) for row in rows]
    return Dataset.from_dict({**encoded, "labels": labels})


if __name__ == "__main__":
    main()
