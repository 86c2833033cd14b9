"""Writes the text that transformers generates greedily, as reference for a slow test.

Needs torch and transformers, which tfft itself does not:

    python tools/make_greedy_reference.py smollm2

Writes `greedy.json` to the folder: 50 prompts of 2 to 60 words, and 16 ids for each.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import transformers

_PROMPTS, _NEW = 50, 16
_WORDS = (
    "The quick brown fox went to the old town by the river and asked the people "
    "there what they had seen, since nobody in the valley knew why the bridge was "
    "closed that year; some said the water was too high, others that the king had "
    "sold its stones, and a child of seven said that bridges sleep in winter, as "
    "bears and teachers do."
).split()


def main(argv: list[str] | None = None) -> None:
    """Generates from each prompt alone, in float32."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    results = []
    for number in range(_PROMPTS):
        size = 2 + number * (len(_WORDS) - 8) // _PROMPTS
        prompt = " ".join(_WORDS[number % 7 : number % 7 + size])
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        with torch.no_grad():
            ids = model.generate(**inputs, max_new_tokens=_NEW, do_sample=False)
        new = ids[0, inputs["input_ids"].shape[1] :].tolist()
        results.append({"prompt": prompt, "ids": new})
    content = {"transformers": transformers.__version__, "results": results}
    (folder / "greedy.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
