"""Trains on a SQuAD file, prints the scores and answers two questions.

python examples/question_answering.py --model FOLDER --output_dir runs/answers
python examples/question_answering.py --smoke --output_dir runs/smoke
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tfft

QUESTIONS = Path(__file__).parent / "data" / "questions.json"


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
        max_sequence_length=96,
    )
    return {"model": backbone, "tokenizer": word_piece(vocabulary)}


def main(argv: Sequence[str] | None = None) -> None:
    """Fine-tunes on the questions and answers two more."""
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
        data=QUESTIONS,
        task=tfft.QuestionAnswering(max_length=192, stride=48),
        method=tfft.LoRA(rank=8, alpha=16, target="all-linear"),
        output_dir=arguments.output_dir,
        validation=0.3,
        test=0,
    )
    print(run.metrics["validation"])
    context = "The bridge at Nuvela was opened by Amara Lind in 1904."
    questions = ["Who opened the bridge?", "How long is the bridge?"]
    for answer in run.predict([(question, context) for question in questions]):
        print(answer["answer"] or "no answer", answer["score"])


if __name__ == "__main__":
    main()
