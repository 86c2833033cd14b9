"""Fine-tunes on four fifths of SQuAD 1.1's development articles with transformers.

    PYTHONPATH=. python tools/bench_qa_torch.py squaddev_v1.1.json --model MODEL

The counterpart of tools/bench_qa.py: the same articles, windows, epochs, batches,
optimizer, schedule and precision, with answers scored by the same rules. Needs the
packages of tools/bench_peers/requirements/torch.txt and no TensorFlow.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_peers.articles import split_articles
from bench_peers.peer import Stopwatch
from bench_peers.torch_clock import Clock
from bench_peers.torch_training import training_arguments
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    set_seed,
)

from tfft.tasks.answers.squad_rules import exact, f1

MAX_LENGTH, STRIDE, MAX_ANSWER, TRIED = 256, 64, 30, 20


def main() -> None:
    """Trains once and prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="SQuAD's JSON file")
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--learning_rate", type=float, default=2e-4)
    parser.add_argument(
        "--choosing", action="store_true", help="score a part of the training articles"
    )
    parser.add_argument(
        "--rows", type=int, help="train on this many of the first questions"
    )
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    set_seed(options.seed)
    watch = Stopwatch()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForQuestionAnswering.from_pretrained(options.model)
    rows = list(questions(options.file))
    train, test = (
        [row for row in rows if row["title"] in titles]
        for titles in split_articles(
            (row["title"] for row in rows), choosing=options.choosing
        )
    )
    learned = learnable(encode(tokenizer, train[: options.rows]), train)
    with tempfile.TemporaryDirectory() as output:
        settings = training_arguments(
            options, output, options.learning_rate, save_strategy="no"
        )
        collator = DataCollatorWithPadding(tokenizer)
        Trainer(
            model=model,
            args=settings,
            train_dataset=learned,
            data_collator=collator,
            callbacks=[Clock(watch)],
        ).train()
        # As in tfft, scores are computed in float32 whatever precision training used.
        settings.bf16 = False
        # Grouping by length would also reorder the predictions.
        settings.train_sampling_strategy = "random"
        scorer = Trainer(model=model, args=settings, data_collator=collator)
        windows = encode(tokenizer, test)
        starts, ends = scorer.predict(inputs(windows)).predictions
    said = answers(windows, starts, ends, test)
    pairs = [(one, row["answers"]) for one, row in zip(said, test, strict=True)]
    figures = {
        "seconds_by_epoch": watch.by_epoch(),
        "windows": len(learned),
        "exact_match": float(np.mean([exact(*pair) for pair in pairs])),
        "f1": float(np.mean([f1(*pair) for pair in pairs])),
        "questions": len(test),
    }
    print(json.dumps(figures, indent=2))


def questions(file: Path) -> Iterator[dict[str, Any]]:
    """Yields a row for each question, with the texts of its answers."""
    for article in json.loads(file.read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for one in paragraph["qas"]:
                yield {
                    "title": article["title"],
                    "question": one["question"],
                    "context": paragraph["context"],
                    "answers": [answer["text"] for answer in one["answers"]],
                    "start": one["answers"][0]["answer_start"],
                }


def encode(tokenizer: Any, rows: Sequence[dict]) -> list[dict]:
    """Returns the windows of all rows, and where the context's tokens are in each."""
    encoded = tokenizer(
        [row["question"] for row in rows],
        [row["context"] for row in rows],
        truncation="only_second",
        max_length=MAX_LENGTH,
        stride=STRIDE,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    windows = []
    for at, row in enumerate(encoded["overflow_to_sample_mapping"]):
        window = {
            name: encoded[name][at]
            for name in ("input_ids", "token_type_ids", "attention_mask")
        }
        context = [text == 1 for text in encoded.sequence_ids(at)]
        places = [
            place if inside else None
            for place, inside in zip(
                encoded["offset_mapping"][at], context, strict=True
            )
        ]
        windows.append({**window, "row": row, "places": places})
    return windows


def learnable(windows: Sequence[dict], rows: Sequence[dict]) -> list[dict]:
    """Returns windows with the ends of their first answer, or of the first token.

    Questions whose answer is not at its given position are left out.
    """
    found = []
    for window, one in zip(windows, inputs(windows), strict=True):
        row = rows[window["row"]]
        first, last = row["start"], row["start"] + len(row["answers"][0])
        if row["context"][first:last] != row["answers"][0]:
            continue
        begins = [i for i, p in enumerate(window["places"]) if p and p[1] > first]
        stops = [i for i, p in enumerate(window["places"]) if p and p[0] < last]
        whole = (
            begins
            and stops
            and window["places"][begins[0]][0] <= first
            and window["places"][stops[-1]][1] >= last
        )
        ends = (begins[0], stops[-1]) if whole else (0, 0)
        found.append({**one, "start_positions": ends[0], "end_positions": ends[1]})
    return found


def inputs(windows: Sequence[dict]) -> list[dict]:
    """Returns the columns of the windows that the model takes."""
    names = ("input_ids", "token_type_ids", "attention_mask")
    return [{name: window[name] for name in names} for window in windows]


def answers(
    windows: Sequence[dict], starts: np.ndarray, ends: np.ndarray, rows: Sequence[dict]
) -> list[str]:
    """Returns the most likely answer of each row over all its windows."""
    best = [(-np.inf, "")] * len(rows)
    for window, start, end in zip(windows, starts, ends, strict=True):
        at, places = window["row"], window["places"]
        tokens = np.array([i for i, place in enumerate(places) if place])
        first = tokens[np.argsort(-start[tokens])[:TRIED]]
        last = tokens[np.argsort(-end[tokens])[:TRIED]]
        for s in first:
            for e in last[(s <= last) & (last < s + MAX_ANSWER)]:
                text = rows[at]["context"][places[s][0] : places[e][1]]
                best[at] = max(best[at], (float(start[s] + end[e]), text))
    return [text for _, text in best]


if __name__ == "__main__":
    main()
