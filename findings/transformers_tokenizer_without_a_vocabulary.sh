#!/usr/bin/env bash
# transformers 5.24.0: AutoTokenizer loads a model folder that has no vocabulary.
#
# Expected: a folder with only config.json and tokenizer_config.json, as left by a
#   download without vocab.txt or tokenizer.json, is an error. In version 4 it is one.
#   It still is for classes that read all of tokenizer.json (PreTrainedTokenizerFast).
# Actual: the classes with rules of their own (BertTokenizer, RobertaTokenizer,
#   GPT2Tokenizer, LlamaTokenizer, Qwen2Tokenizer) start with a vocabulary of only their
#   special tokens if they find no file, without an error or a warning. BERT then
#   encodes every word as [UNK]; the byte-level ones encode every text as nothing. A
#   vocabulary under another name has the same effect: vocab.json for a BERT config.
# Workaround: after loading, compare len(tokenizer) with config.vocab_size, before you
#   train on rows of [UNK].
#
# Output:
#   bert     BertTokenizer        5 tokens  hello world -> [CLS] [UNK] [UNK] [SEP]
#   roberta  RobertaTokenizer     5 tokens  hello world -> <s> </s>
#   gpt2     GPT2Tokenizer        1 tokens  hello world ->
#   qwen2    Qwen2Tokenizer       1 tokens  hello world ->
#   PreTrainedTokenizerFast: ValueError
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check transformers==5.24.0

cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'END'
import json
from pathlib import Path

from transformers import AutoTokenizer


def folder(family, name):
    path = Path(f"{family}-{name}")
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": family}))
    (path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    return path


text, sizes = "hello world", {}
for family, name in [
    ("bert", "BertTokenizer"),
    ("roberta", "RobertaTokenizer"),
    ("gpt2", "GPT2Tokenizer"),
    ("qwen2", "Qwen2Tokenizer"),
]:
    tokenizer = AutoTokenizer.from_pretrained(folder(family, name))
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])
    sizes[family] = len(tokenizer)
    print(f"{family:8} {name:18} {len(tokenizer):3} tokens  {text} -> {' '.join(tokens)}")
    assert not {"hello", "world"} & set(tokens)
assert max(sizes.values()) <= 5, sizes

try:
    AutoTokenizer.from_pretrained(folder("bert", "PreTrainedTokenizerFast"))
except ValueError as error:
    print("PreTrainedTokenizerFast: ValueError")
else:
    raise SystemExit("a class that reads tokenizer.json whole no longer refuses")
END
