"""A training that takes a second or two."""

from __future__ import annotations

import json

import pytest

from tests.language import make_decoder, make_tokenizer

__all__ = ["make_decoder", "make_tokenizer", "tune"]


@pytest.fixture(scope="session")
def tune(bert_folder, make_rows, tmp_path_factory):
    """Fine-tunes the tiny BERT's head for an epoch, unless told otherwise."""
    import tfft

    def run(**options):
        return tfft.finetune(
            **{
                "model": bert_folder,
                "data": make_rows(40),
                "output_dir": tmp_path_factory.mktemp("tune") / "run",
                "method": "head",
                "epochs": 1,
                "precision": "float32",
                "verbose": 0,
                **options,
            }
        )

    return run


@pytest.fixture(scope="session")
def search_options(bert_folder, make_rows, tmp_path_factory):
    """What searches on the tiny BERT have in common; the rows are files."""
    folder = tmp_path_factory.mktemp("rows")
    for name, seed in (("train", 0), ("validation", 1)):
        lines = map(json.dumps, make_rows(24, seed))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return {
        "model": bert_folder,
        "data": folder,
        "test": 0,
        "epochs": 2,
        "batch_size": 8,
        "precision": "float32",
        "verbose": 0,
    }
