"""Turns a GGUF file of a Llama-type model into a Hugging Face folder.

    python tools/gguf_to_huggingface.py SmolLM2-135M-Instruct.Q4_1.gguf smollm2

The weights are dequantized to float32. Rounding to few bits cannot be undone, so the
folder is a real starting point for fine-tuning, but not the published model. Needs the
packages `gguf` and `safetensors`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import tokenizers
from gguf.quants import dequantize
from safetensors.numpy import save_file
from tokenizers import decoders, models, pre_tokenizers

_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_ONCE = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_CONTROL = 3  # GGUF's type of a special token
# How a text is split before byte pair encoding, by GGUF's name for it.
_SPLITTERS = {
    "smollm": [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ],
    "gpt-2": [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)],
}


def main(argv: list[str] | None = None) -> None:
    """Writes the config, weights and tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(argv)
    reader = gguf.GGUFReader(options.file)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields["general.architecture"] != "llama":
        raise SystemExit(f"architecture {fields['general.architecture']}, not llama")
    options.folder.mkdir(parents=True, exist_ok=True)
    weights = read_weights(reader, fields)
    save_file(weights, options.folder / "model.safetensors", {"format": "pt"})
    tied = "lm_head.weight" not in weights
    _write(options.folder / "config.json", model_config(fields, tied))
    make_tokenizer(fields).save(str(options.folder / "tokenizer.json"))
    _write(options.folder / "tokenizer_config.json", tokenizer_config(fields))
    print(f"{options.folder}: {sum(w.size for w in weights.values()):,} weights")


def read_weights(
    reader: gguf.GGUFReader, fields: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Returns the tensors with Hugging Face's names, in float32."""
    heads = {
        "attn_q": fields["llama.attention.head_count"],
        "attn_k": fields["llama.attention.head_count_kv"],
    }
    weights = {}
    for tensor in reader.tensors:
        parts = tensor.name.removesuffix(".weight").split(".")
        value = dequantize(tensor.data, tensor.tensor_type).astype("float32")
        value = value.reshape([int(size) for size in reversed(tensor.shape)])
        if parts[0] != "blk":
            weights[f"{_ONCE[parts[0]]}.weight"] = value
            continue
        if parts[2] in heads:
            value = restored(value, heads[parts[2]])
        weights[f"model.layers.{parts[1]}.{_BLOCK[parts[2]]}.weight"] = value
    return {name: np.ascontiguousarray(value) for name, value in weights.items()}


def restored(value: np.ndarray, heads: int) -> np.ndarray:
    """Returns query or key rows in Hugging Face's order.

    GGUF interleaves the two halves of a head, whose rows are rotated together.

    Args:
        value: Shape (heads·size, hidden).
        heads: The number of heads.
    """
    size = value.shape[0] // heads
    pairs = value.reshape(heads, size // 2, 2, value.shape[1])
    return pairs.swapaxes(1, 2).reshape(value.shape)


def model_config(fields: dict[str, Any], tied: bool) -> dict[str, Any]:
    """Returns the content of `config.json`."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "vocab_size": fields["llama.vocab_size"],
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": round(fields["llama.attention.layer_norm_rms_epsilon"], 9),
        "rope_theta": fields["llama.rope.freq_base"],
        "tie_word_embeddings": tied,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "torch_dtype": "float32",
    }


def make_tokenizer(fields: dict[str, Any]) -> tokenizers.Tokenizer:
    """Returns the byte-level tokenizer that the file describes."""
    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"]]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    library = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    splitters = _SPLITTERS[fields["tokenizer.ggml.pre"]]
    library.pre_tokenizer = pre_tokenizers.Sequence(splitters)
    library.decoder = decoders.ByteLevel()
    kinds = fields["tokenizer.ggml.token_type"]
    library.add_special_tokens(
        [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    )
    return library


def tokenizer_config(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of `tokenizer_config.json`, including the chat template."""
    tokens = fields["tokenizer.ggml.tokens"]
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": fields["tokenizer.chat_template"],
        **{
            f"{ours}_token": tokens[fields[f"tokenizer.ggml.{theirs}_token_id"]]
            for ours, theirs in names.items()
        },
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
