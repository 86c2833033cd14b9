"""A tokenizer with a chat template, and decoders as small as can be."""

from __future__ import annotations

import keras
import keras_hub
import pytest
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers

from tfft.text.chat_template import ChatTemplate
from tfft.text.tokenizer import Tokenizer

CHATML = (
    "{% for m in messages %}"
    "{% if m.role == 'assistant' and not loop.first"
    " and messages[loop.index0 - 1].role == 'assistant' %}"
    "{{ raise_exception('two answers in a row') }}{% endif %}"
    "<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def make_tokenizer():
    """A tokenizer of bytes; with the template of a chat when asked."""

    def make(chat=True):
        letters = sorted(pre_tokenizers.ByteLevel.alphabet())
        special = ["<|start|>", "<|end|>"]
        ids = {token: index for index, token in enumerate([*special, *letters])}
        library = Library(models.BPE(ids, []))
        library.add_special_tokens(special)
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        library.decoder = decoders.ByteLevel()
        template = ChatTemplate(CHATML, (("eos_token", "<|end|>"),)) if chat else None
        return Tokenizer(library, {"eos": "<|end|>"}, template)

    return make


@pytest.fixture
def make_decoder():
    """A GPT-2 of two layers, random but alike each time, without dropout."""

    def make(**changes):
        keras.utils.set_random_seed(0)
        options = {
            "vocabulary_size": 258,
            "num_layers": 2,
            "num_heads": 2,
            "hidden_dim": 16,
            "intermediate_dim": 32,
            "max_sequence_length": 96,
            "dropout": 0.0,
        }
        return keras_hub.models.GPT2Backbone(**{**options, **changes})

    return make
