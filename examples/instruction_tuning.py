"""Instruction tuning in Python: answers before, training, answers after.

python examples/instruction_tuning.py --model smollm2 --data alpaca.json \
    --output_dir runs/alpaca
python examples/instruction_tuning.py --smoke --output_dir runs/smoke

`tools/gguf_to_huggingface.py` makes the model's folder from a GGUF file.
"""

import argparse
import json
from collections.abc import Sequence
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
    """Returns a GPT-2 of two layers with random weights and a tokenizer of bytes."""
    import keras_hub
    from tokenizers import pre_tokenizers

    from tfft.models.byte_level import byte_level
    from tfft.models.tokenizer import Tokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
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
    """Prints questions with answers."""
    print(f"\n{title}")
    for question, answer in zip(QUESTIONS, answers, strict=True):
        print(f"> {question}\n{answer.text.strip()} [{answer.finish}]")


def main(argv: Sequence[str] | None = None) -> None:
    """Fine-tunes on instructions, and shows what changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a Hugging Face folder or a KerasHub preset")
    parser.add_argument("--data", type=Path, help="a JSON list of Alpaca's rows")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--held_out", type=int, default=100)
    parser.add_argument("--max_length", type=int, default=256)
    parser.add_argument("--max_new_tokens", type=int, default=48)
    parser.add_argument(
        "--smoke", action="store_true", help="a few rows and a tiny random model"
    )
    arguments = parser.parse_args(argv)
    options: dict[str, Any] = {"model": arguments.model}
    rows, held_out = ROWS, 4
    if arguments.smoke:
        options = tiny_model()
    else:
        rows, held_out = json.loads(arguments.data.read_text()), arguments.held_out
    train, validation = rows[:-held_out], rows[-held_out:]
    task = tfft.CausalLanguageModelling(max_length=arguments.max_length)
    asked = [[{"role": "user", "content": question}] for question in QUESTIONS]
    new = {"max_new_tokens": arguments.max_new_tokens}

    show("before", tfft.generate(prompts=asked, task=task, **options, **new))
    # A row whose answer begins beyond max_length teaches nothing: left out, and said.
    skip = {"on_bad_rows": "skip"}
    before = tfft.evaluate(data=validation, task=task, **options, **skip).metrics
    run = tfft.finetune(
        **options,
        data=train,
        validation=validation,
        test=0,
        task=task,
        method=tfft.LoRA(rank=8, alpha=16, target="all-linear"),
        epochs=1,
        batch_size=4,
        learning_rate=5e-4,
        **skip,
        output_dir=arguments.output_dir,
    )
    show("after", run.generate(asked, **new))
    after = run.metrics["validation"]
    change = 1 - after["loss"] / before["loss"]
    print(f"\nheld-out loss {before['loss']:.4f} -> {after['loss']:.4f} ({change:.1%})")


if __name__ == "__main__":
    main()
