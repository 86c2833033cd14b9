#!/usr/bin/env bash
# keras-hub 0.32.0: a text truncated at `sequence_length` is still taught to end there.
#
# Expected: if a text is longer than `sequence_length`, the preprocessor of a causal
#   language model learns its first tokens but no end, because the text goes on.
# Actual: the packer removes one more token and puts the end token in its place. The
#   last label of every truncated text is therefore "stop here", in the middle of a
#   sentence. A model trained on long texts with a short `sequence_length` learns to end
#   at that length.
# Workaround: split long texts yourself, and pass `add_end_token=False` for all pieces
#   but the last.
#
# Output, for 11 letters at sequence_length 6, labels as tokens:
#   ['b', 'c', 'd', 'e', 'f', '<|endoftext|>']
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
  tensorflow==2.21.0 keras==3.15.1 keras-hub==0.32.0

TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" 2> "$work/stderr" - <<'END' || { cat "$work/stderr" >&2; exit 1; }
from keras_hub.models import GPT2CausalLMPreprocessor, GPT2Tokenizer

names = ["!", "<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz", "Ġ", "xy"]
tokenizer = GPT2Tokenizer({name: id for id, name in enumerate(names)}, ["x y"])
preprocessor = GPT2CausalLMPreprocessor(
    tokenizer, sequence_length=6, add_start_token=False
)
_, labels, weights = preprocessor(["abcdefghijk"])
labels = [names[int(id)] for id in labels[0]]
print(labels)
assert bool(weights[0][-1]), "the last label has no weight"
assert labels[-1] == "<|endoftext|>", "a cut text has no end now"
END
