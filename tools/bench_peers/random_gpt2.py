"""A GPT-2 with random weights, as a Hugging Face folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

LAYERS, HIDDEN, HEADS, VOCABULARY, POSITIONS = 12, 768, 12, 50257, 1024
_SPREAD = 0.02  # GPT-2's initial spread
CONFIG = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "n_layer": LAYERS,
    "n_embd": HIDDEN,
    "n_head": HEADS,
    "n_positions": POSITIONS,
    "n_ctx": POSITIONS,
    "vocab_size": VOCABULARY,
    "layer_norm_epsilon": 1e-5,
    # A frozen random model needs no dropout, and without it all peers compute the same.
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "resid_pdrop": 0.0,
    "summary_first_dropout": 0.0,
    "bos_token_id": VOCABULARY - 1,
    "eos_token_id": VOCABULARY - 1,
    "tie_word_embeddings": True,
}


def write(folder: Path, encoder: Path) -> None:
    """Writes the config, weights and tokenizer.

    Args:
        folder: Where to write.
        encoder: The folder with `encoder.json` and `vocab.bpe`.
    """
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import ByteLevelBPETokenizer

    random = np.random.default_rng(0)
    tensors = {}
    for name, shape in _shapes().items():
        plain = np.zeros if name.endswith("bias") else np.ones
        if len(shape) == 1:
            tensors[name] = plain(shape, "float32")
        else:
            drawn = random.standard_normal(shape, "float32")
            tensors[name] = drawn * np.float32(_SPREAD)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(encoder / "encoder.json", folder / "vocab.json")
    shutil.copy(encoder / "vocab.bpe", folder / "merges.txt")
    tokenizer = ByteLevelBPETokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt")
    )
    end = "<|endoftext|>"
    tokenizer.add_special_tokens([end])
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), end)
    settings = {"tokenizer_class": "GPT2Tokenizer", "model_max_length": POSITIONS}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, **roles}))


def _shapes() -> dict[str, tuple[int, ...]]:
    """Returns the shape of each weight by its Hugging Face name."""
    shapes: dict[str, tuple[int, ...]] = {
        "transformer.wte.weight": (VOCABULARY, HIDDEN),
        "transformer.wpe.weight": (POSITIONS, HIDDEN),
    }
    norms = ["transformer.ln_f"]
    for layer in range(LAYERS):
        block = f"transformer.h.{layer}"
        norms += [f"{block}.ln_1", f"{block}.ln_2"]
        for name, inputs, outputs in (
            ("attn.c_attn", HIDDEN, 3 * HIDDEN),
            ("attn.c_proj", HIDDEN, HIDDEN),
            ("mlp.c_fc", HIDDEN, 4 * HIDDEN),
            ("mlp.c_proj", 4 * HIDDEN, HIDDEN),
        ):
            shapes[f"{block}.{name}.weight"] = (inputs, outputs)
            shapes[f"{block}.{name}.bias"] = (outputs,)
    for norm in norms:
        shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (HIDDEN,)
    return shapes
