"""Ids of texts, prompts with answers and chats from transformers and TRL.

The tokenizers differ in what they add before a text; a part of a text that is encoded
separately has other ids than inside the text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
import transformers as hf
from tokenizers import (
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from goldens import golden

_CORPUS = [
    "The cat sat on the mat, and the other cat sat on the other mat.",
    "hi there, yo! What is two and two? It is four. hello world",
    "unable unhappy undo able happy do  two  spaces\n\nlines",
] * 3
_TEXTS = ["hello world", " hi", "été 🙂 yo ", "two  spaces\n\n", "unable"]
_PAIRS = [
    ("hi", "yo"),
    ("What is two and two?", " It is four."),
    ("the cat ", "sat on the mat"),
    ("un", "able"),
    ("hello \n", "world"),
    ("é", "té 🙂"),
]
_CHATS = [
    [("user", "hi"), ("assistant", "yo")],
    [("user", "hi"), ("assistant", "yo"), ("user", "two "), ("assistant", " four")],
]
# Like Llama 2's: an answer is between a word and the end of a text.
_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}"
    "[INST] {{ m.content }} [/INST]{% else %}"
    "{% generation %} {{ m.content }}{{ eos_token }}{% endgeneration %}"
    "{% endif %}{% endfor %}"
)
_SPECIAL = ["<unk>", "<s>", "</s>"]


def _pairs_model() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))


def _train(library: tokenizers.Tokenizer, alphabet: list[str] | None = None) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=400 if alphabet else 200,
        special_tokens=_SPECIAL,
        initial_alphabet=alphabet or [],
        show_progress=False,
    )
    library.train_from_iterator(_CORPUS, trainer)


def _metaspace(scheme: str) -> tokenizers.Tokenizer:
    library = _pairs_model()
    library.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    library.decoder = decoders.Metaspace(prepend_scheme=scheme)
    _train(library)
    return library


def _legacy() -> tokenizers.Tokenizer:
    library = _pairs_model()
    library.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    # Only while merges are learned does a blank end a word.
    library.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    _train(library)
    library.pre_tokenizer = None
    library.decoder = decoders.Metaspace()
    return library


def _byte_level() -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    library.decoder = decoders.ByteLevel()
    _train(library, pre_tokenizers.ByteLevel.alphabet())
    return library


def _framed(library: tokenizers.Tokenizer, frame: str) -> tokenizers.Tokenizer:
    tokens = [(one, library.token_to_id(one)) for one in ("<s>", "</s>")]
    library.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=tokens
    )
    return library


def _word_pieces() -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer(models.WordPiece(unk_token="<unk>"))
    library.normalizer = normalizers.BertNormalizer()
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=_SPECIAL, show_progress=False
    )
    library.train_from_iterator(_CORPUS, trainer)
    return library


_KINDS: dict[str, Callable[[], tokenizers.Tokenizer]] = {
    "metaspace-first": lambda: _framed(_metaspace("first"), "<s> $A"),
    "metaspace-always": lambda: _framed(_metaspace("always"), "<s> $A"),
    "metaspace-never": lambda: _metaspace("never"),
    "legacy-prepend": lambda: _framed(_legacy(), "<s> $A"),
    "byte-level": _byte_level,
    "word-pieces": _word_pieces,
    "with-end": lambda: _framed(_metaspace("first"), "<s> $A </s>"),
    "end-alone": lambda: _framed(_byte_level(), "$A </s>"),
}


def _without_end(tokenizer: Any, ids: list[int]) -> list[int]:
    end = tokenizer.eos_token_id
    return ids[:-1] if ids and ids[-1] == end else ids


def _reference(tokenizer: Any) -> dict[str, Any]:
    from trl.data_utils import common_prefix_length

    def ids(text: str) -> list[int]:
        """Returns a text's ids with exactly one end token."""
        return _without_end(tokenizer, tokenizer(text)["input_ids"])

    pairs = []
    for prompt, completion in _PAIRS:
        asked = ids(prompt)
        # TRL adds the end token's text to the completion.
        whole = _without_end(
            tokenizer, tokenizer(prompt + completion + "</s>")["input_ids"]
        )
        whole = [*_without_end(tokenizer, whole), tokenizer.eos_token_id]
        shared = common_prefix_length(asked, whole)
        pairs.append(
            {
                "prompt": prompt,
                "completion": completion,
                "prompt_ids": asked,
                "ids": whole,
                "first_learned": shared,
                "joined": shared < len(asked),
            }
        )
    chats = []
    for turns in _CHATS:
        messages = [{"role": role, "content": content} for role, content in turns]
        found = tokenizer.apply_chat_template(
            messages, return_dict=True, return_assistant_tokens_mask=True
        )
        chats.append(
            {
                "messages": messages,
                "ids": found["input_ids"],
                "learned": found["assistant_masks"],
                "prompt_ids": tokenizer.apply_chat_template(
                    messages[:-1], add_generation_prompt=True
                )["input_ids"],
            }
        )
    end = [tokenizer.eos_token_id]
    texts = [{"text": text, "ids": ids(text) + end} for text in _TEXTS]
    return {"texts": texts, "pairs": pairs, "chats": chats}


@golden("language-ids")
def _language(folder: Path) -> None:
    for name, make in _KINDS.items():
        tokenizer = hf.PreTrainedTokenizerFast(
            tokenizer_object=make(),
            bos_token="<s>",
            eos_token="</s>",
            unk_token="<unk>",
            chat_template=_TEMPLATE,
        )
        tokenizer.save_pretrained(folder / name)
        reference = _reference(hf.AutoTokenizer.from_pretrained(folder / name))
        text = json.dumps(reference, ensure_ascii=False)
        (folder / name / "reference.json").write_text(text + "\n")
