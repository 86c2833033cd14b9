"""The half of tools/roundtrip.py that needs torch and transformers.

Takes a folder of cases, each with `model` and `arrays.npz`, and prints a line of JSON
for each: the largest difference, and the keys that transformers missed or did not
expect.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers


def compare(case: Path) -> dict[str, object]:
    """Loads a model and returns the largest differences from tfft's outputs."""
    settings = json.loads((case / "case.json").read_text())
    kind = getattr(transformers, settings["class"])
    model, info = kind.from_pretrained(
        settings["model"], output_loading_info=True, attn_implementation="eager"
    )
    arrays = np.load(case / "arrays.npz")
    given = {
        name.removeprefix("input."): torch.tensor(arrays[name], dtype=torch.long)
        for name in arrays.files
        if name.startswith("input.")
    }
    with torch.no_grad():
        outputs = model.eval()(**given, output_hidden_states=True)
    outputs["sequence"] = outputs.hidden_states[-1]
    real = given["attention_mask"].bool().numpy()
    result: dict[str, object] = {"case": case.name, "rows": len(real)}
    for name in arrays.files:
        if name.startswith("output."):
            part = name.removeprefix("output.")
            found, expected = outputs[part].numpy(), arrays[name]
            if found.ndim == 3:
                found, expected = found[real], expected[real]
            result[part] = float(np.abs(found - expected).max())
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        result[key] = sorted(map(str, info[key]))
    return result


if __name__ == "__main__":
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        print(json.dumps(compare(folder)))
