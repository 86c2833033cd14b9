"""Copies the first rows of each split of a data set, for a quick training.

    python tools/take_rows.py examples/data/spam demo/data \
        --train 768 --validation 200 --test 500

Writes train.jsonl, validation.jsonl and test.jsonl. The rows of a split should be
shuffled, so that its first rows are a fair sample.
"""

import argparse
import json
from pathlib import Path

from tfft.core.files import write_text
from tfft.data.sources import read

SPLITS = ("train", "validation", "test")


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with the three splits")
    parser.add_argument("target", type=Path, help="folder to write")
    for name in SPLITS:
        parser.add_argument(f"--{name}", type=int, required=True, help="rows to copy")
    return parser.parse_args()


def main() -> None:
    """Writes the files and prints their numbers of rows."""
    arguments = parse_arguments()
    tables = read(arguments.source)
    arguments.target.mkdir(parents=True, exist_ok=True)
    written = []
    for name in SPLITS:
        count = min(getattr(arguments, name), len(tables[name]))
        table = tables[name].select(range(count))
        rows = [
            dict(zip(table.columns, row, strict=True))
            for row in zip(*table.columns.values(), strict=True)
        ]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_text(arguments.target / f"{name}.jsonl", text)
        written.append(f"{count:,} of {len(tables[name]):,} {name}")
    print(f"copied {', '.join(written)} rows to {arguments.target}")


if __name__ == "__main__":
    main()
