"""Compares exported answers with the text that transformers generates greedily.

Needs torch and transformers, which tfft itself does not, and a folder written by
`examples/instruction_tuning.py --export`:

    python tools/check_greedy.py runs/exported

Exits with status 1 when an id differs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import transformers


def main(argv: list[str] | None = None) -> None:
    """Generates from each prompt alone, in float32."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    content = json.loads((folder / "answers.json").read_text())
    different = 0
    for one in content["answers"]:
        prompt = tokenizer.apply_chat_template(
            one["messages"], add_generation_prompt=True, tokenize=False
        )
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        with torch.no_grad():
            ids = model.generate(
                **inputs,
                max_new_tokens=content["max_new_tokens"],
                do_sample=False,
                eos_token_id=tokenizer.eos_token_id,
            )
        found = ids[0, inputs["input_ids"].shape[1] :].tolist()
        # tfft's answers do not include the end token.
        equal = [id for id in found if id != tokenizer.eos_token_id] == one["ids"]
        different += not equal
        print("equal" if equal else "DIFFERENT", repr(tokenizer.decode(found)))
    print(f"{len(content['answers']) - different} of {len(content['answers'])} equal")
    raise SystemExit(different > 0)


if __name__ == "__main__":
    main()
