"""Fine-tunes on CoNLL-2003 with transformers and prints entity and word scores.

    python tools/bench_ner_torch.py DIR --model MODEL [--method full]

The counterpart of tools/bench_ner.py: the same rows, epochs, batches, optimizer,
schedule and precision, and it too keeps the epoch with the best validation F1. Needs
the packages of tools/bench_peers/requirements/torch.txt and no TensorFlow.
"""

import argparse
import json
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from bench_peers.peer import Stopwatch
from bench_peers.sentences import TAGS, read_conll
from bench_peers.torch_clock import Clock
from bench_peers.torch_tagging import encode, entity_f1, tags_of
from bench_peers.torch_training import training_arguments
from peft import LoraConfig, get_peft_model
from sklearn.metrics import f1_score
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

LEARNING_RATES = {"full": 2e-4, "lora": 1e-3}


def main() -> None:
    """Trains once and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the three files")
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--method", choices=LEARNING_RATES, default="full")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument(
        "--choosing", action="store_true", help="do not score the test split"
    )
    parser.add_argument(
        "--rows", type=int, help="train on this many of the first sentences"
    )
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    set_seed(options.seed)
    watch = Stopwatch()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = model_of(options)
    # Training sentences are cut at 128 tokens; sentences to score are not cut.
    rows = {
        split: encode(tokenizer, read_conll(options.folder / f"{split}.txt"), most)
        for split, most in (("train", 128), ("valid", 512), ("test", 512))
    }
    collator = DataCollatorForTokenClassification(tokenizer)
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=model,
            args=arguments(options, output),
            train_dataset=rows["train"][: options.rows],
            eval_dataset=rows["valid"],
            data_collator=collator,
            callbacks=[Clock(watch)],
            compute_metrics=lambda found: {
                "f1": entity_f1(found.predictions, found.label_ids)
            },
        )
        trainer.train()
        # As in tfft, scores are computed in float32 whatever precision training used.
        scorer = Trainer(
            model=model, args=scoring_arguments(output), data_collator=collator
        )
        scores = {
            split: scores_of(scorer.predict(rows[split]))
            for split in (("valid",) if options.choosing else ("valid", "test"))
        }
    figures = {
        "seconds_by_epoch": watch.by_epoch(),
        "validation_f1_by_epoch": [
            one["eval_f1"] for one in trainer.state.log_history if "eval_f1" in one
        ],
    }
    print(json.dumps({**figures, **scores}, indent=2))


def model_of(options: argparse.Namespace) -> Any:
    """Returns the model to train, in full or with a LoRA on its linear layers."""
    model = AutoModelForTokenClassification.from_pretrained(
        options.model, num_labels=len(TAGS)
    )
    if options.method == "full":
        return model
    adapter = LoraConfig(
        task_type="TOKEN_CLS",
        r=options.rank,
        lora_alpha=2 * options.rank,
        target_modules="all-linear",
    )
    return get_peft_model(model, adapter)


def arguments(options: argparse.Namespace, output: str) -> TrainingArguments:
    """Returns tfft's training settings; the weights of the best epoch are kept."""
    return training_arguments(
        options,
        output,
        options.learning_rate or LEARNING_RATES[options.method],
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="f1",
    )


def scoring_arguments(output: str) -> TrainingArguments:
    """Returns the settings for float32."""
    return TrainingArguments(
        output_dir=output,
        per_device_eval_batch_size=32,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
    )


def scores_of(found: Any) -> dict[str, float]:
    """Returns the F1 of entities, and the F1 of words with O among the tags."""
    gold, said = tags_of(found.predictions, found.label_ids)
    words = [np.array([*chain(*rows)]) for rows in (gold, said)]
    return {
        "f1": entity_f1(found.predictions, found.label_ids),
        "word_accuracy": float((words[0] == words[1]).mean()),
        "word_weighted_f1": float(f1_score(*words, average="weighted")),
        "word_macro_f1": float(f1_score(*words, average="macro")),
    }


if __name__ == "__main__":
    main()
