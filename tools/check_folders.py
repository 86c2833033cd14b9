"""Compares tfft with the references of `tools/make_folders.py`.

python tools/check_folders.py build/folders
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.goldens.folders import compare
from tfft.models.tokenizer_files import read_tokenizer


def main(root: Path) -> int:
    """Prints the differences in each folder, and tfft's notes on its tokenizer."""
    bad = 0
    for path in sorted(path for path in root.iterdir() if path.is_dir()):
        found = compare(root, path.name)
        wrong = any(found[:-1]) or found.outputs > 2e-5
        bad += wrong
        print(
            f"{path.name:26} {'WRONG' if wrong else 'equal'}: ids {found.ids}, pairs "
            f"{found.pairs}, cut {found.cut}, tokens {found.tokens}, "
            f"outputs {found.outputs:.1e}"
        )
        for note in read_tokenizer(path).notes:
            print(f"    {note}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
