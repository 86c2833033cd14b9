"""The settings of tfft's trainings as options of transformers' Trainer."""

from __future__ import annotations

import argparse
from typing import Any

from transformers import TrainingArguments

from bench_peers.machine import multiplies_bfloat16


def training_arguments(
    options: argparse.Namespace, output: str, learning_rate: float, **more: Any
) -> TrainingArguments:
    """Returns tfft's training settings.

    Args:
        options: Has `epochs`, `batch_size` and `seed`.
        output: A folder.
        learning_rate: The peak.
        **more: More options of transformers.
    """
    return TrainingArguments(
        output_dir=output,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=32,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        weight_decay=0.01,
        max_grad_norm=1.0,
        train_sampling_strategy="group_by_length",
        bf16=multiplies_bfloat16(),
        use_cpu=True,
        logging_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
        seed=options.seed,
        **more,
    )
