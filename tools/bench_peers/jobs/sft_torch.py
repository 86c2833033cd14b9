"""Supervised fine-tuning of a language model with TRL and PEFT."""

from __future__ import annotations

import tempfile

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from bench_peers.language import language_parser, language_rows, longest
from bench_peers.peer import Stopwatch, finish
from bench_peers.torch_clock import Clock, trainable

# PEFT's defaults for these models.
TARGETS = {"gpt2": ("c_attn",), "smollm2": ("q_proj", "v_proj")}
# Packed rows, or padded rows grouped by length.
BATCHES = ("packed", "grouped")


def main() -> None:
    """Trains for two epochs and measures the second."""
    added = language_parser()
    added.add_argument("--batches", choices=BATCHES, default=BATCHES[0])
    options = added.parse_args()
    train, held_out = language_rows(options)
    folder = str(options.assets / options.model)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa")
    watch = Stopwatch()
    packed = options.batches == "packed"
    steps = -(-options.rows // options.batch_size)
    with tempfile.TemporaryDirectory() as output:
        settings = {
            "output_dir": output,
            "num_train_epochs": 2,
            "learning_rate": options.learning_rate,
            "lr_scheduler_type": "constant",
            "weight_decay": 0.0,
            "max_length": longest(options),
            "completion_only_loss": True,
            "bf16": options.precision == "bfloat16",
            "use_cpu": True,
            "gradient_checkpointing": False,
            "logging_strategy": "epoch",
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "seed": options.seed,
            "per_device_eval_batch_size": 8,
            "eval_packing": False,
        }
        if packed:
            settings |= {"packing": True, "packing_strategy": "bfd"}
            settings["per_device_train_batch_size"] = 1
        else:
            settings["train_sampling_strategy"] = "group_by_length"
            settings["per_device_train_batch_size"] = options.batch_size
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**settings),
            train_dataset=Dataset.from_list(train),
            eval_dataset=Dataset.from_list(held_out),
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=8,
                lora_alpha=16,
                lora_dropout=0.0,
                target_modules=list(TARGETS[options.model]),
            ),
            callbacks=[Clock(watch)],
        )
        size = options.batch_size
        if packed:
            # The same number of steps as with padded rows.
            size = -(-len(trainer.train_dataset) // steps)
            trainer.args.per_device_train_batch_size = size
            trainer._train_batch_size = size
        targets = " and ".join(TARGETS[options.model])
        tokens, labels = _count(trainer)
        trainer.train()
        losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
        loss = trainer.evaluate()["eval_loss"]
    finish(
        work={
            "rows": len(train),
            "tokens": tokens,
            "labels": labels,
            "steps": trainer.state.global_step // 2,
            "trainable": trainable(trainer.model),
            "precision": options.precision,
        },
        figures=watch.figures(labels=labels, tokens=tokens),
        quality={"loss": loss, "training_loss": losses[-1]},
        settings={
            "adapter": f"PEFT LoRA, rank 8, on {targets}",
            "batches": f"{options.batches}, {size} rows in a step",
            "attention": model.config._attn_implementation,
            "numbers": f"{options.precision} by autocast",
        },
    )


def _count(trainer: SFTTrainer) -> tuple[int, int]:
    """Returns the numbers of real tokens and of labels in an epoch."""
    tokens = labels = 0
    for batch in trainer.get_train_dataloader():
        real = batch.get("attention_mask")
        tokens += int(batch["input_ids"].numel() if real is None else real.sum())
        labels += int((batch["labels"] != -100).sum())
    return tokens, labels


if __name__ == "__main__":
    main()
