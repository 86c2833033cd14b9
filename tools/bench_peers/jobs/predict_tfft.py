"""Labels of raw texts from tfft's SavedModel or from a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench_peers.peer import parser
from bench_peers.predicting import Answer, measure


def main() -> None:
    """Measures one of the two ways."""
    added = parser()
    added.add_argument("--through", choices=("saved_model", "run"), required=True)
    given = added.parse_args()
    folder = given.assets / "classifier"
    if given.through == "saved_model":
        make, rows = _saved_model, 16
    else:
        make, rows = _run, 32
    batches = f"{rows} texts of like length"
    measure(given, make(folder), {"through": given.through, "batches": batches})


def _saved_model(folder: Path) -> Callable[[Sequence[str]], list[Answer]]:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 (registers the tokenizer's operations)

    loaded = tf.saved_model.load(str(folder / "served" / "1"))

    def answer(texts: Sequence[str]) -> list[Answer]:
        outputs = loaded.signatures["serving_default"](text=tf.constant(texts))
        labels = [label.decode() for label in outputs["label"].numpy()]
        return list(zip(labels, outputs["score"].numpy().tolist(), strict=True))

    return answer


def _run(folder: Path) -> Callable[[Sequence[str]], list[Answer]]:
    import tfft

    run = tfft.load(folder / "run")
    return lambda texts: [(one["label"], one["score"]) for one in run.predict(texts)]


if __name__ == "__main__":
    main()
