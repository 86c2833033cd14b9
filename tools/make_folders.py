"""Writes model folders with several versions of transformers, and references for them.

    python tools/make_folders.py 4.30=PYTHON 4.57=PYTHON 5=PYTHON
        --out build/folders --texts 1000 [NAME …]

Each PYTHON is an interpreter with that version of transformers, with torch and
safetensors. Version 5 trains the vocabularies and computes the references: `NAME.json`
and `NAME.safetensors` next to each folder `NAME`. The ids are also compared with those
of the version that wrote the folder. `tests/goldens/folders` is made with `--texts 60`.
`tools/check_folders.py` compares tfft with the references.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from folders.texts import hostile_texts

_STEPS = Path(__file__).resolve().parent / "folders"
_FOLDER = re.compile(r'^@folder\("(.+)", "(.+)"\)$', re.MULTILINE)
_LATEST = "5"


def main(arguments: list[str] | None = None) -> int:
    """Makes the named folders, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("interpreters", nargs="+", metavar="VERSION=PYTHON or NAME")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--texts", type=int, default=1000)
    options = parser.parse_intermixed_args(arguments)
    named = [one for one in options.interpreters if "=" not in one]
    pythons = dict(one.split("=", 1) for one in options.interpreters if "=" in one)
    known = dict(_FOLDER.findall((_STEPS / "write.py").read_text(encoding="utf-8")))
    options.out.mkdir(parents=True, exist_ok=True)
    texts = options.out / "texts.json"
    content = json.dumps(hostile_texts(options.texts), indent=0)
    texts.write_text(content + "\n", encoding="utf-8")
    names = named or list(known)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _run(pythons[_LATEST], "vocabularies", root)
        for version, python in pythons.items():
            own = [name for name in names if known[name] == version]
            if not own:
                continue
            _run(python, "write", options.out, root, *own)
            _run(python, "read", options.out, root, "ids", *own)
        _run(pythons[_LATEST], "read", options.out, options.out, "logits", *names)
        for name in names:
            print(f"{name:26} {_compared(options.out / name, root / name)}")
    return 0


def _run(python: str, step: str, *arguments: object) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "0"}
    done = subprocess.run(
        [python, str(_STEPS / f"{step}.py"), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{step} {arguments}: {done.stderr[-3000:]}")


def _compared(reference: Path, own: Path) -> str:
    """Returns the number of texts for which the folder's own version has other ids."""
    latest, older = (
        json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
        for path in (reference, own)
    )
    pairs = zip(latest["ids"], older["ids"], strict=True)
    other = sum(one != another for one, another in pairs)
    return (
        f"{latest['class']:20} ids of {older['version']} ({older['class']}) differ "
        f"in {other} of {len(latest['ids'])}"
    )


if __name__ == "__main__":
    sys.exit(main())
