"""Trains on CoNLL columns to find names, prints the scores and tags two sentences.

python examples/token_classification.py --model FOLDER --output_dir runs/names
python examples/token_classification.py --smoke --output_dir runs/smoke
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tfft

NAMES = Path(__file__).parent / "data" / "names"


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
    """Fine-tunes on the names and tags two sentences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a Hugging Face folder or a KerasHub preset")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument(
        "--smoke", action="store_true", help="one epoch and a tiny random model"
    )
    arguments = parser.parse_args(argv)
    options: dict[str, Any] = {"model": arguments.model}
    if arguments.smoke:
        options = {**tiny_model(), "epochs": 1}
    run = tfft.finetune(
        **options,
        data=f"conll:{NAMES}",
        task=tfft.TokenClassification(max_length=128, stride=32),
        method=tfft.LoRA(rank=8, alpha=16, target="all-linear"),
        output_dir=arguments.output_dir,
    )
    print(run.metrics["test"])
    for answer in run.predict(["Mina Holt moved to Varn.", "The rain has stopped."]):
        print(answer["spans"])


if __name__ == "__main__":
    main()
