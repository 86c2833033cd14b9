"""Fit the baseline that a fine-tuned model has to beat.

    python tools/baseline.py DIR [--text text] [--label label] [--json PATH]

The baseline is TF-IDF over words and pairs of words, and logistic regression.
It is fitted on the train split; the validation split chooses the strength of
the regularisation; the test split is looked at once.
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline, make_pipeline

STRENGTHS = (1, 10, 100)


def read_split(folder: Path, split: str) -> pd.DataFrame:
    """Reads one split, whichever of the two formats it is stored in.

    Raises:
        SystemExit: If the folder has no file of this split.
    """
    parquet, csv = (folder / f"{split}{suffix}" for suffix in (".parquet", ".csv"))
    if parquet.exists():
        return pd.read_parquet(parquet)
    if csv.exists():
        # A text such as "null" or "NA" is a text, not a missing value.
        return pd.read_csv(csv, keep_default_na=False)
    sys.exit(f"neither {parquet.name} nor {csv.name} in {folder}")


def make_baseline(strength: float) -> Pipeline:
    """Makes the baseline, with settings that no data set was used to choose."""
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=strength, max_iter=1000),
    )


def fit_baseline(
    train: pd.DataFrame, validation: pd.DataFrame, text: str, label: str
) -> Pipeline:
    """Fits one baseline for each strength and keeps the best on validation."""
    candidates = [
        make_baseline(strength).fit(train[text], train[label]) for strength in STRENGTHS
    ]
    # max() keeps the first of equals: the most regularised one.
    return max(
        candidates, key=lambda model: model.score(validation[text], validation[label])
    )


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the three splits")
    parser.add_argument("--text", default="text", help="column of the text")
    parser.add_argument("--label", default="label", help="column of the label")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser.parse_args()


def main() -> None:
    """Prints how well the baseline does on the test split."""
    arguments = parse_arguments()
    train, validation, test = (
        read_split(arguments.folder, split) for split in ("train", "validation", "test")
    )
    model = fit_baseline(train, validation, arguments.text, arguments.label)
    true, predicted = test[arguments.label], model.predict(test[arguments.text])
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
