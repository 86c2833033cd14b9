"""A training that takes a second or two."""

from __future__ import annotations

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
