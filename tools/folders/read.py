"""Writes what this version's AutoTokenizer and AutoModel compute for folders.

`python read.py ROOT OUT logits|ids NAME …`: `NAME.json` holds the ids of the texts in
`ROOT/texts.json`, `NAME.safetensors` the states or logits of a few, in float64.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from safetensors.torch import save_file

_SHORT = 12
_ROWS = 4


def ids_of(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Returns the ids of texts, of pairs and of truncated texts."""
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    if hf.__version__ >= "5":
        tokenizer.split_special_tokens = True  # </s> in a text stays text
    pairs = [tokenizer(text, texts[0]) for text in texts[:_SHORT]]
    cut = [
        tokenizer(text, truncation=True, max_length=_SHORT)["input_ids"]
        for text in texts[:_SHORT]
    ]
    roles = ("bos", "eos", "pad", "cls", "sep", "mask", "unk")
    return {
        "version": hf.__version__,
        "class": type(tokenizer).__name__,
        "ids": [tokenizer(text)["input_ids"] for text in texts],
        "pairs": [one["input_ids"] for one in pairs],
        "segments": [one.get("token_type_ids") for one in pairs],
        "cut": cut,
        "tokens": {role: getattr(tokenizer, f"{role}_token") for role in roles},
        "padding_side": tokenizer.padding_side,
        "max_length": min(tokenizer.model_max_length, 10**9),
    }


def outputs_of(folder: Path, ids: list[list[int]]) -> dict[str, torch.Tensor]:
    """Returns padded ids, with each row's states or logits computed separately."""
    config = hf.AutoConfig.from_pretrained(folder)
    kind = getattr(hf, config.architectures[0])
    model = kind.from_pretrained(folder).double().eval()
    rows, outputs = [], []
    for one in ids[:_ROWS]:
        with torch.no_grad():
            found = model(input_ids=torch.tensor([one]))
        outputs.append(found.get("logits", found.get("last_hidden_state"))[0])
        rows.append(torch.tensor(one, dtype=torch.int32))
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "input.token_ids": pad(rows, True),
        "input.padding_mask": pad([torch.ones_like(row) for row in rows], True),
        "output.values": pad(outputs, True).float(),
    }


def main(root: Path, out: Path, logits: bool, names: list[str]) -> None:
    """Reads folders in `root` and writes the results to `out`."""
    texts = json.loads((root / "texts.json").read_text(encoding="utf-8"))
    for name in names:
        found = ids_of(root / name, texts)
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        if logits:
            path = out / f"{name}.safetensors"
            save_file(outputs_of(root / name, found["ids"]), path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "logits", sys.argv[4:])
