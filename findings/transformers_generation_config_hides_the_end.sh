#!/usr/bin/env bash
# transformers 5.24.0 (torch 2.13.0): a generation_config.json without eos_token_id
# removes the end of texts.
#
# config.json names the token that ends a text (eos_token_id), and generate() stops at
# it. A generation_config.json next to it holds defaults for generate().
#
# Expected: a generation_config.json that only sets something else, such as
#   {"repetition_penalty": 1.0}, does not change where texts end.
# Actual: the file replaces everything that config.json says about generation. Without
#   an eos_token_id in it, generate() runs to max_new_tokens, past the end of the text.
#   Neither loading nor generating warns. Even an empty file, {}, has this effect.
# Workaround: if you write a generation_config.json by hand, repeat eos_token_id in it.
#   If you read a model folder, do not merge the two files.
#
# Output, the new tokens of one model (config.json ends texts at 53):
#     no generation_config.json       stops after 5, the last is 53
#     {}                              12 tokens, 53 among them
#     {"repetition_penalty": 1.0}     12 tokens, 53 among them
#     {"eos_token_id": 53}            stops after 5, the last is 53
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
  transformers==5.24.0 torch==2.13.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - "$work/model" <<'PYTHON'
import json
import sys
from pathlib import Path

import torch
import transformers

transformers.logging.set_verbosity_error()
folder = Path(sys.argv[1])
torch.manual_seed(0)
config = transformers.GPT2Config(
    vocab_size=100, n_embd=16, n_layer=1, n_head=2, n_positions=32,
    initializer_range=1.0, bos_token_id=None, eos_token_id=None,
)
model = transformers.GPT2LMHeadModel(config).eval()
prompt = torch.tensor([[5, 7]])
options = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0}
whole = model.generate(prompt, **options)[0, 2:].tolist()
end = whole[4]
assert end not in whole[:4], whole

model.config.eos_token_id = end
model.save_pretrained(folder)
path = folder / "generation_config.json"
seen = {}
for content in (None, {}, {"repetition_penalty": 1.0}, {"eos_token_id": end}):
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_text(json.dumps(content))
    loaded = transformers.GPT2LMHeadModel.from_pretrained(folder)
    assert loaded.config.eos_token_id == end
    new = loaded.generate(prompt, **options)[0, 2:].tolist()
    seen[str(content)] = new
    print(f"{str(content):30} {len(new):2} tokens, ends with {new[-1]}: {new}")
stopped = whole[:5]
assert seen["None"] == stopped, "config.json alone ends texts"
assert seen[str({"eos_token_id": end})] == stopped, "the file's own end ends texts"
gone = [name for name, new in seen.items() if new == whole]
assert gone == ["{}", "{'repetition_penalty': 1.0}"], f"the behaviour is gone: {seen}"
PYTHON
