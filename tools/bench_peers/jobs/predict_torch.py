"""Labels of raw texts from transformers' pipeline."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import pipeline

from bench_peers.mails import MAX_LENGTH
from bench_peers.peer import parser
from bench_peers.predicting import BATCH, Answer, measure


def main() -> None:
    """Measures the pipeline."""
    added = parser()
    added.add_argument("--through", help="has one way only")
    given = added.parse_args()
    pipe = pipeline(
        "text-classification",
        model=str(given.assets / "classifier" / "huggingface"),
        device="cpu",
        dtype=torch.float32,
        model_kwargs={"attn_implementation": "sdpa"},
    )

    def answer(texts: Sequence[str]) -> list[Answer]:
        found = pipe(
            list(texts), batch_size=BATCH, truncation=True, max_length=MAX_LENGTH
        )
        return [(one["label"], one["score"]) for one in found]

    attention = pipe.model.config._attn_implementation
    measure(given, answer, {"through": "pipeline, sdpa", "attention": attention})


if __name__ == "__main__":
    main()
