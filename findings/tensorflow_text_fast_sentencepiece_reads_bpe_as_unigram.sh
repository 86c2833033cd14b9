#!/usr/bin/env bash
# tensorflow-text 2.21.1: FastSentencepieceTokenizer reads a BPE model as a Unigram
# model, and has no byte fallback.
#
# Expected: it gives the ids of SentencepieceTokenizer, only faster, or refuses models
#   that it cannot run. Both classes take the same model bytes.
# Actual: it silently accepts BPE models (Llama 2, Mistral, Gemma and other decoders)
#   and segments them by their scores, like a Unigram model, into different pieces.
#   Characters outside the vocabulary become the unknown token, even if the model was
#   trained with byte fallback and has all 256 byte pieces.
# Workaround: use SentencepieceTokenizer for BPE models in a graph.
#
# Output, for a model trained here on 16 words:
#   text                  SentencepieceTokenizer      FastSentencepieceTokenizer
#   newest lowest cats    271 261 285 274 292         263 260 261 265 260 261 274 292
#   é                     286 198 172                 286 0
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
  tensorflow==2.21.0 tensorflow-text==2.21.1 sentencepiece==0.2.1

TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" 2> "$work/stderr" - <<'END' || { cat "$work/stderr" >&2; exit 1; }
import io
import random

import sentencepiece
import tensorflow_text

WORDS = """low lower lowest new newer newest wide wider widest old older oldest
cat cats dog dogs""".split()
random.seed(0)
lines = [" ".join(random.choice(WORDS) for _ in range(8)) for _ in range(400)]
written = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(lines),
    model_writer=written,
    vocab_size=300,
    model_type="bpe",
    byte_fallback=True,
    hard_vocab_limit=False,
    minloglevel=2,
)
model = written.getvalue()
reference = sentencepiece.SentencePieceProcessor(model_proto=model)
usual = tensorflow_text.SentencepieceTokenizer(model)
fast = tensorflow_text.FastSentencepieceTokenizer(model)
for text in ("newest lowest cats", "é"):
    ids = [one.tokenize(text).numpy().tolist() for one in (usual, fast)]
    print(f"{text:20}", *ids)
    assert ids[0] == reference.encode(text), "SentencepieceTokenizer is the exact one"
    assert ids[1] != ids[0], "FastSentencepieceTokenizer agrees now"
assert reference.unk_id() in ids[1], "bytes are no longer unknown"
END
