"""Labels of raw texts from KerasHub's classifier."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import keras_hub
import numpy as np
from safetensors.numpy import load_file

from bench_peers.mails import LABELS, MAX_LENGTH
from bench_peers.peer import parser
from bench_peers.predicting import BATCH, Answer, measure


def main() -> None:
    """Measures `predict` on texts."""
    added = parser()
    added.add_argument("--through", help="has one way only")
    given = added.parse_args()
    folder = given.assets / "classifier" / "huggingface"
    tokenizer = keras_hub.models.BertTokenizer(
        vocabulary=str(given.assets / "minilm" / "vocab.txt"),
        lowercase=True,
        strip_accents=True,
    )
    model = keras_hub.models.BertTextClassifier(
        keras_hub.models.Backbone.from_preset(str(folder)),
        num_classes=len(LABELS),
        preprocessor=keras_hub.models.BertTextClassifierPreprocessor(
            tokenizer, sequence_length=MAX_LENGTH
        ),
    )
    # KerasHub does not read the head of such a folder.
    weights = load_file(folder / "model.safetensors")
    kernel, bias = (weights[f"classifier.{name}"] for name in ("weight", "bias"))
    model.output_dense.set_weights([kernel.T, bias])

    def answer(texts: Sequence[str]) -> list[Answer]:
        logits = model.predict(np.array(texts, object), batch_size=BATCH, verbose=0)
        shares = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
        return [(LABELS[int(one.argmax())], float(one.max())) for one in shares]

    measure(given, answer, {"through": "predict", "padding": f"to {MAX_LENGTH}"})


if __name__ == "__main__":
    main()
