"""Fits the baseline that a fine-tuned model has to beat.

    python tools/baseline.py DIR [--text text] [--label label] [--json PATH]

The baseline is TF-IDF over words and pairs of words, with logistic regression. It is
fitted on the train split, the validation split chooses the strength of the
regularization, and the test split is scored once.
"""

import argparse
import json
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from tfft.data.sources import read
from tfft.data.table import Table

STRENGTHS = (1, 10, 100)


def make_baseline(strength: float) -> Pipeline:
    """Makes the baseline. No data set was used to choose its settings."""
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=strength, max_iter=1000),
    )


def fit_baseline(train: Table, validation: Table, text: str, label: str) -> Pipeline:
    """Fits one baseline for each strength and returns the best on validation."""
    candidates = [
        make_baseline(strength).fit(train.column(text), train.column(label))
        for strength in STRENGTHS
    ]
    # Of equal scores max() returns the first: the strongest regularization.
    held_out = validation.column(text), validation.column(label)
    return max(candidates, key=lambda model: model.score(*held_out))


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the three splits")
    parser.add_argument("--text", default="text", help="name of the text column")
    parser.add_argument("--label", default="label", help="name of the label column")
    parser.add_argument("--json", type=Path, help="also write the scores to this file")
    return parser.parse_args()


def main() -> None:
    """Prints the baseline's scores on the test split."""
    arguments = parse_arguments()
    tables = read(arguments.folder)
    model = fit_baseline(
        tables["train"], tables["validation"], arguments.text, arguments.label
    )
    test = tables["test"]
    true = test.column(arguments.label)
    predicted = model.predict(test.column(arguments.text))
    figures = {
        "accuracy": float(accuracy_score(true, predicted)),
        "macro_f1": float(f1_score(true, predicted, average="macro")),
        "rows": len(test),
    }
    print(
        f"TF-IDF + logistic regression: accuracy {figures['accuracy']:.4f}, "
        f"macro F1 {figures['macro_f1']:.4f} (test, {figures['rows']:,} rows)"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
