"""Gets labels from an exported SavedModel, with TensorFlow alone.

python examples/query_saved_model.py demo/serving/spam/1 "a text" "another"
"""

import argparse
import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers the tokenizer's operations)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the label and score of each text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("saved_model", help="the version folder")
    parser.add_argument("texts", nargs="+")
    arguments = parser.parse_args(argv)
    answer = tf.saved_model.load(arguments.saved_model).signatures["serving_default"]
    outputs = answer(text=tf.constant(arguments.texts))
    labels, scores = outputs["label"].numpy(), outputs["score"].numpy()
    for text, label, score in zip(arguments.texts, labels, scores, strict=True):
        print(f"{label.decode()} {score:.4f} · {text[:60]}")


if __name__ == "__main__":
    main()
