"""Tunes a language model on instructions, and shows its answers before and after.

python examples/instruction_tuning.py --model smollm2 --data alpaca.json \
    --output_dir runs/alpaca
python examples/instruction_tuning.py --smoke --output_dir runs/smoke

`tools/gguf_to_huggingface.py` makes the model's folder from a GGUF file. With several
--seeds, one run is trained for each seed, and the mean of their weights answers. With
--export the tuned model and its answers are written to a folder for transformers;
`tools/check_greedy.py` compares the answers with those of transformers.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tfft

QUESTIONS = [
    "Give three tips for staying healthy.",
    "Rewrite this sentence in the past tense: She walks to school.",
    "Name a fruit that is red.",
]
ROWS = [
    {"instruction": f"Say {letter} twice.", "output": f"{letter} {letter}"}
    for letter in "abcdefghijklmnopqrstuvwxyz"
]


def tiny_model() -> dict[str, Any]:
    """Returns a random GPT-2 with two layers, and a byte-level tokenizer."""
    import keras
    import keras_hub
    from tokenizers import pre_tokenizers

    from tfft.text.byte_level import byte_level
    from tfft.text.tokenizer import Tokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # The runs of all seeds start from the same weights.
    keras.utils.set_random_seed(0)
    vocabulary = {token: i for i, token in enumerate(["<|endoftext|>", *letters])}
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=len(vocabulary),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=256,
    )
    return {"model": backbone, "tokenizer": Tokenizer(byte_level(vocabulary, []))}


def show(title: str, answers: Sequence[Any]) -> None:
    """Prints the questions with their answers."""
    print(f"\n{title}")
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"> {question}\n{answer.text.strip()} [{answer.finish}]")


def tuned(
    base: Callable[[], dict[str, Any]],
    seeds: Sequence[int],
    folder: Path,
    **options: Any,
) -> Any:
    """Returns a run, or with several seeds the mean of their runs' weights."""
    if len(seeds) == 1:
        return tfft.finetune(**base(), **options, seed=seeds[0], output_dir=folder)
    runs = [
        tfft.finetune(
            **base(), **options, seed=seed, output_dir=folder / f"seed-{seed}"
        )
        for seed in seeds
    ]
    return tfft.ensemble(runs, how="soup", output_dir=folder / "soup").run


def export(run: Any, folder: Path, asked: Sequence[Any], **options: Any) -> None:
    """Writes the merged model for transformers, and the answers it must give."""
    run.export_huggingface(folder)
    answers = run.generate(asked, **options)
    results = [
        {"messages": messages, "ids": list(answer.token_ids)}
        for messages, answer in zip(asked, answers, strict=True)
    ]
    content = {**options, "answers": results}
    (folder / "answers.json").write_text(json.dumps(content, indent=1) + "\n")
    print(f"exported to {folder}")


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a Hugging Face folder or a KerasHub preset")
    parser.add_argument(
        "--data", type=Path, help="a JSON list of rows in Alpaca's form"
    )
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--held_out", type=int, default=100)
    parser.add_argument("--validation", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--learning_rate", type=float, default=5e-4)
    parser.add_argument("--max_length", type=int, default=512)
    parser.add_argument(
        "--train_on_prompt", action="store_true", help="learn the instructions too"
    )
    parser.add_argument("--max_new_tokens", type=int, default=64)
    parser.add_argument("--export", type=Path, help="a new folder for transformers")
    parser.add_argument(
        "--smoke", action="store_true", help="a few rows and a tiny random model"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Fine-tunes on instructions and prints what changed."""
    arguments = parsed(argv)
    if arguments.smoke:
        base, rows, held_out = tiny_model, ROWS, 4
    else:
        base = partial(dict, model=arguments.model)
        rows, held_out = json.loads(arguments.data.read_text()), arguments.held_out
    task = tfft.CausalLanguageModelling(
        max_length=arguments.max_length, train_on_prompt=arguments.train_on_prompt
    )
    asked = [[{"role": "user", "content": question}] for question in QUESTIONS]
    new = {"max_new_tokens": arguments.max_new_tokens}

    show("before", tfft.generate(prompts=asked, task=task, **base(), **new))
    # Rows whose answer begins after max_length teach nothing: they are left out, and
    # a note counts them.
    skip = {"on_bad_rows": "skip"}
    before = tfft.evaluate(data=rows[-held_out:], task=task, **base(), **skip).metrics
    # The best epoch is chosen on a share of the other rows, not on the held-out ones.
    run = tuned(
        base,
        arguments.seeds,
        arguments.output_dir,
        data=rows[:-held_out],
        validation=arguments.validation,
        test=rows[-held_out:],
        task=task,
        method=tfft.LoRA(rank=16, alpha=32, target="all-linear"),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        **skip,
    )
    show("after", run.generate(asked, **new))
    after = run.evaluate(rows[-held_out:], **skip).metrics
    first, last = before["loss"], after["loss"]
    print(f"\nheld-out loss {first:.4f} -> {last:.4f} ({last / first - 1:+.1%})")
    if arguments.export:
        export(run, arguments.export, asked, **new)


if __name__ == "__main__":
    main()
