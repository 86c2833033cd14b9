"""transformers' output for conversations with the templates of tests/chat_templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import tokenizers
import transformers as hf
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers.utils import chat_template_utils

from goldens import golden

TEMPLATES = Path(__file__).resolve().parents[2] / "tests" / "chat_templates"
# Each template's tokenizer, and the start and end of its texts.
_FAMILIES = {
    "chatml": ("bytes", None, "<|im_end|>"),
    "dates": ("bytes", "<|begin_of_text|>", "<|eot_id|>"),
    "gemma": ("spaces", "<bos>", "<eos>"),
    "generation": ("bytes", None, "<|im_end|>"),
    "llama2": ("spaces", "<s>", "</s>"),
    "llama3": ("bytes", "<|begin_of_text|>", "<|eot_id|>"),
    "mistral": ("spaces", "<s>", "</s>"),
    "phi": ("spaces", "<s>", "<|endoftext|>"),
    "qwen25": ("bytes", None, "<|im_end|>"),
    "smollm2": ("bytes", "<|im_start|>", "<|im_end|>"),
    "tools": ("spaces", "<s>", "</s>"),
    "zephyr": ("spaces", "<s>", "</s>"),
}
_SPACES_SPECIAL = [
    *("<unk>", "<s>", "</s>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
    *("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"),
    *("[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
    *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
]
# The byte-level tokenizer, which graphs support, has all of them.
_SPECIAL = {
    "bytes": [
        *("<|im_start|>", "<|im_end|>", "<|begin_of_text|>"),
        *("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        *_SPACES_SPECIAL,
    ],
    "spaces": _SPACES_SPECIAL,
}
_SUM = {
    "type": "function",
    "function": {
        "name": "sum",
        "description": "Adds “numbers” <here>",
        "parameters": {"type": "object", "properties": {"of": {"type": "array"}}},
    },
}
_CALL = {"type": "function", "function": {"name": "sum", "arguments": {"of": [1, 2]}}}


def _said(*turns: str) -> list[dict[str, Any]]:
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles[turn[0]], "content": turn[1:]} for turn in turns]


_CASES: dict[str, dict[str, Any]] = {
    "system": {"messages": _said("sBe short.", "uHi", "aHi!", "uBye", "aBye then.")},
    "turns": {
        "messages": _said(
            "u Été 🙂 ?\n", "a中文, <b> & “so”", "uline\n\nline", "aYes  it is"
        )
    },
    "tools": {
        "messages": [
            *_said("u1+2?"),
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "name": "sum", "content": "3, été", "weight": None},
            *_said("aIt is 3."),
        ],
        "tools": [_SUM],
    },
    "reasoning": {
        "messages": [
            *_said("uHi", "aHi!", "u1+2?"),
            {"role": "assistant", "content": "3", "thinking": "one, two, three"},
        ]
    },
}


class _Noon(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(2024, 2, 29, 12)


@golden("chat-templates")
def _chat_templates(folder: Path) -> None:
    with mock.patch.object(chat_template_utils, "datetime", _Noon):
        references = {name: _reference(name) for name in _FAMILIES}
    for kind in _SPECIAL:
        (folder / f"{kind}.json").write_text(_tokenizer(kind).to_str())
    content = {"cases": _CASES, "templates": references}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    (folder / "reference.json").write_text(text.replace('},"', '},\n"') + "\n")


def _reference(name: str) -> dict[str, Any]:
    kind, bos, eos = _FAMILIES[name]
    tokenizer = hf.PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(kind), bos_token=bos, eos_token=eos
    )
    tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text()
    unmarked = re.sub(r"{%-? (end)?generation -?%}", "", tokenizer.chat_template)
    rendered, served = {}, _tokenizer("bytes")
    for case, chat in _CASES.items():
        rendered[case] = found = _rendered(tokenizer, served, **chat)
        if "text" in found and name != "generation":
            plain = tokenizer.apply_chat_template(
                **_arguments(**chat), chat_template=unmarked, tokenize=False
            )
            if plain != found["text"]:
                raise ValueError(f"{name}: the marks change the text of {case}")
    return {"tokenizer": kind, "bos_token": bos, "eos_token": eos, "cases": rendered}


def _rendered(tokenizer: Any, served: Any, **chat: Any) -> dict[str, Any]:
    arguments = _arguments(**chat)
    try:
        found = tokenizer.apply_chat_template(
            **arguments, return_assistant_tokens_mask=True
        )
        text = tokenizer.apply_chat_template(**arguments, tokenize=False)
    except Exception as error:  # any error of a template
        return {"error": str(error)}
    arguments["conversation"] = arguments["conversation"][:-1]
    arguments["add_generation_prompt"] = True
    prompt = tokenizer.apply_chat_template(**arguments, tokenize=False)
    begun = {**chat["messages"][-1]}
    begun["content"] += " and "
    arguments["conversation"] = [*arguments["conversation"], begun]
    arguments |= {"add_generation_prompt": False, "continue_final_message": True}
    continued = tokenizer.apply_chat_template(**arguments, tokenize=False)
    return {
        "text": text,
        "ids": found["input_ids"],
        "learned": list(_runs(found["assistant_masks"])),
        "prompt": prompt,
        "prompt_ids": tokenizer.encode(prompt, add_special_tokens=False),
        "served_ids": served.encode(prompt, add_special_tokens=False).ids,
        "continued": continued,
    }


def _arguments(messages: Any, tools: Any = None) -> dict[str, Any]:
    return {"conversation": messages, "tools": tools}


def _runs(mask: list[int]) -> Iterator[tuple[int, int]]:
    """Yields the start and end of each run of ones."""
    edges = [
        place
        for place, pair in enumerate(zip([0, *mask], [*mask, 0], strict=True))
        if pair[0] != pair[1]
    ]
    yield from zip(edges[::2], edges[1::2], strict=True)


def _tokenizer(kind: str) -> tokenizers.Tokenizer:
    """Returns a byte-level tokenizer, or one that starts with ▁ like Llama 2's."""
    corpus = [
        turn["content"] or ""
        for chat in _CASES.values()
        for turn in chat["messages"] * 4
    ]
    if kind == "bytes":
        library = tokenizers.Tokenizer(models.BPE())
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        library.decoder = decoders.ByteLevel()
        alphabet, special = pre_tokenizers.ByteLevel.alphabet(), []
    else:
        library = tokenizers.Tokenizer(
            models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True)
        )
        library.pre_tokenizer = pre_tokenizers.Metaspace(
            prepend_scheme="first", split=False
        )
        library.decoder = decoders.Sequence(
            [
                decoders.Replace("▁", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        alphabet, special = list("▁"), [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<unk>", *special] if special else [],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    library.train_from_iterator(corpus, trainer)
    content = json.loads(library.to_str())
    content["added_tokens"] = []
    library = tokenizers.Tokenizer.from_str(json.dumps(content))
    library.add_special_tokens(_SPECIAL[kind])
    return library
