"""Named entities with transformers."""

from __future__ import annotations

import tempfile

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
from bench_peers.torch_tagging import encode, entity_f1


def main() -> None:
    """Trains the whole model; measures the last epoch."""
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
        encoded = encode(tokenizer, train, 128)
        trainer = Trainer(
            model=model,
            args=settings,
            train_dataset=encoded,
            data_collator=DataCollatorForTokenClassification(tokenizer),
            callbacks=[Clock(watch)],
        )
        trainer.train()
        losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
        found = trainer.predict(encode(tokenizer, test, 128))
    tokens = sum(len(one["input_ids"]) for one in encoded)
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
            "entity_f1": entity_f1(found.predictions, found.label_ids),
            "training_loss": losses[-1],
        },
        settings={
            "method": "full",
            "batches": "32 sentences of like length, padded to the longest",
            "attention": trainer.model.config._attn_implementation,
            "numbers": f"{options.precision} by autocast",
        },
    )


if __name__ == "__main__":
    main()
