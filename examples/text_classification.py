"""Trains a text classifier, prints its scores and two answers, and exports it.

python examples/text_classification.py --model FOLDER --output_dir runs/spam
python examples/text_classification.py --smoke --output_dir runs/smoke
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tfft

SPAM = Path(__file__).parent / "data" / "spam"


def tiny_model() -> dict[str, Any]:
    """Returns a random BERT with two layers, and a tokenizer of letters."""
    import keras_hub

    from tfft.models.tokenizer_files import word_piece

    letters = "abcdefghijklmnopqrstuvwxyz"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = [*special, *letters, *(f"##{letter}" for letter in letters)]
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=32,
    )
    return {"model": backbone, "tokenizer": word_piece(vocabulary)}


def main(argv: Sequence[str] | None = None) -> None:
    """Fine-tunes on the spam data and exports the run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a Hugging Face folder or a KerasHub preset")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument(
        "--smoke", action="store_true", help="a few rows and a tiny random model"
    )
    arguments = parser.parse_args(argv)
    options: dict[str, Any] = {"model": arguments.model, "data": SPAM}
    if arguments.smoke:
        rows = [
            {"text": f"{word} {letter * 3}", "label": label}
            for word, label in (("free prize", "spam"), ("patch applied", "ham"))
            for letter in "abcdefghij"
        ]
        options = {**tiny_model(), "data": rows, "epochs": 1}
    run = tfft.finetune(
        **options,
        task=tfft.TextClassification(text="text", label="label", max_length=128),
        method=tfft.LoRA(rank=8, alpha=16, target="all-linear"),
        output_dir=arguments.output_dir,
    )
    print(run.metrics["test"])
    print(run.predict(["You have won a free prize", "The patch does not apply"]))
    print(run.export(arguments.output_dir.with_name("serving")))


if __name__ == "__main__":
    main()
