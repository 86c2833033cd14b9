#!/usr/bin/env bash
# keras-hub 0.32.0 (keras 3.15.1): the reported loss of a causal language model falls
# when `sequence_length` grows, for the same texts and weights.
#
# Expected: padding has sample weight 0, so it changes neither the loss nor the update.
# Actual: the preprocessor returns weight 0 for padded labels, but Keras' default
#   reduction divides the weighted sum by *all* positions. With four times the length,
#   the loss and the gradient are a quarter as large. Clipping, SGD and weight decay
#   then act on another scale; Adam hides it.
# Workaround: compare losses of KerasHub's `fit` and `evaluate` only at one length, or
#   compile with `reduction="mean_with_sample_weight"`, which divides by the weights.
#
# Output, for three short texts and a random GPT-2, with the same weights each time:
#   length    8   loss 1.5606   mean_with_sample_weight 3.4049
#   length   32   loss 0.3901   mean_with_sample_weight 3.4049
#   length  128   loss 0.0975   mean_with_sample_weight 3.4049
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
  tensorflow==2.21.0 keras==3.15.1 keras-hub==0.32.0

TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" 2> "$work/stderr" - <<'END' || { cat "$work/stderr" >&2; exit 1; }
import keras
from keras_hub.models import (
    GPT2Backbone,
    GPT2CausalLM,
    GPT2CausalLMPreprocessor,
    GPT2Tokenizer,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEXTS = ["abc", "defg", "hi"]
names = ["!", "<|endoftext|>", *LETTERS, "Ġ", "ab"]
tokenizer = GPT2Tokenizer({name: id for id, name in enumerate(names)}, ["a b"])


def losses(length):
    keras.utils.set_random_seed(0)
    backbone = GPT2Backbone(
        vocabulary_size=len(names),
        num_layers=1,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=128,
    )
    preprocessor = GPT2CausalLMPreprocessor(tokenizer, sequence_length=length)
    model = GPT2CausalLM(backbone, preprocessor)
    default = model.evaluate(TEXTS, verbose=0, return_dict=True)["loss"]
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        sampler="greedy",
    )
    weighted = model.evaluate(TEXTS, verbose=0, return_dict=True)["loss"]
    return default, weighted


seen = {length: losses(length) for length in (8, 32, 128)}
for length, (default, weighted) in seen.items():
    print(f"length {length:4}   loss {default:.4f}   mean_with_sample_weight {weighted:.4f}")
for length in (32, 128):
    ratio = seen[8][0] / seen[length][0]
    assert abs(ratio - length / 8) < 0.01, "the default no longer counts padding"
    assert abs(seen[8][1] - seen[length][1]) < 1e-4
END
