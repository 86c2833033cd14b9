#!/usr/bin/env bash
# transformers 5.24.0 (jinja2 3.1.6): the assistant mask of a chat template is wrong if
# the template uses macros.
#
# A chat template may mark what the assistant says with {% generation %}.
# apply_chat_template(..., return_assistant_tokens_mask=True) then tells which tokens to
# learn; TRL's assistant_only_loss trains on that mask.
#
# Expected: the mask covers the marked text wherever the template writes it.
# Actual: if the mark is in a {% macro %}, a {% set %} block or the body of
#   {% for … recursive %}, the mask silently covers other characters: as many as the
#   answer has, counted from where the macro's text begins. The reason: Jinja first
#   returns such text to its caller and writes it later, but transformers takes the
#   length of the text written so far as the position of the answer.
# Effect: a model trained with such a template learns the heading of the turn instead
#   of the answer.
# Workaround: keep {% generation %} out of macros and set blocks. Before training,
#   decode the masked tokens of one row.
#
# Output, for the text "<user>hello</>\n<assistant>yes</>\n" in all four cases:
#     plain      yes
#     macro      <as
#     set        <as
#     recursive  <us
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
  transformers==5.24.0 tokenizers==0.23.3 jinja2==3.1.6
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON'
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
library = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=library)

TURN = (
    "<{{ m.role }}>{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}{% endgeneration %}"
    "{% else %}{{ m.content }}{% endif %}</>{{ '\\n' }}"
)
TEMPLATES = {
    "plain": "{% for m in messages %}" + TURN + "{% endfor %}",
    "macro": "{% macro turn(m) %}" + TURN + "{% endmacro %}"
    "{% for m in messages %}{{ turn(m) }}{% endfor %}",
    "set": "{% for m in messages %}{% set turn %}" + TURN + "{% endset %}"
    "{{ turn }}{% endfor %}",
    "recursive": "{% for m in messages recursive %}" + TURN + "{% endfor %}",
}
messages = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "yes"},
]
masked = {}
for name, template in TEMPLATES.items():
    tokenizer.chat_template = template
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "<user>hello</>\n<assistant>yes</>\n", text
    found = tokenizer.apply_chat_template(messages, return_assistant_tokens_mask=True)
    pairs = zip(found["input_ids"], found["assistant_masks"])
    masked[name] = "".join(tokenizer.decode([i]) for i, mark in pairs if mark)
    print(f"{name:10} {masked[name]}")
assert masked == {"plain": "yes", "macro": "<as", "set": "<as", "recursive": "<us"}
PYTHON
