#!/usr/bin/env bash
# transformers 5.24.0 (jinja2 3.1.6): assistant masks of chat templates with macros
#
# A chat template may mark what the assistant says by {% generation %}, so that
# apply_chat_template(..., return_assistant_tokens_mask=True) tells which tokens to
# learn; TRL's assistant_only_loss trains on that mask.
#
# One would expect the mask to cover the marked text wherever the template writes it.
# Instead, when the mark stands in a {% macro %}, a {% set %} block or the body of
# {% for … recursive %}, the mask covers other characters: as many as the answer has,
# counted from where the macro's text begins. Nothing is said. Jinja hands such text to
# its caller as a whole, and only then is it written; transformers takes the length of
# what was written before as the place of the answer.
#
# Seen here, for the text "<user>hello</>\n<assistant>yes</>\n" in all four cases:
#     plain      yes
#     macro      <as
#     set        <as
#     recursive  <us
#
# What follows: a model trained with such a template learns the heading of the turn and
# not the answer. Keep {% generation %} out of macros and set blocks; before training,
# decode the tokens of the mask for one row.
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
