"""The demo's commands: a sample of the emails, and configs that `finetune` accepts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tfft.core.config import plain_object
from tfft.data.sources import read
from tfft.fitting.config import FinetuneConfig
from tfft.methods.method import METHODS
from tfft.tasks.task import TASKS

ROOT = Path(__file__).parents[2]
SPAM = ROOT / "examples" / "data" / "spam"


def run(*words):
    """Returns a process of the repository's root that ended."""
    words = [str(word) for word in words]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


def test_the_sample_is_the_first_rows_of_each_split(tmp_path):
    counts = {"train": 5, "validation": 3, "test": 9_999}
    words = [word for name, n in counts.items() for word in (f"--{name}", n)]
    done = run(sys.executable, "tools/take_rows.py", SPAM, tmp_path / "new", *words)
    assert done.returncode == 0, done.stderr
    assert "5 of 4,096 train, 3 of 590 validation, 1,201 of 1,201 test" in done.stdout
    whole, sample = read(SPAM), read(tmp_path / "new")
    for name, count in counts.items():
        rows = range(min(count, len(whole[name])))
        assert sample[name].columns == whole[name].select(rows).columns


@pytest.mark.parametrize(
    ("name", "length"), [("spam.yaml", 128), ("spam_sample.yaml", 96)]
)
def test_finetune_accepts_the_config(name, length):
    options = yaml.safe_load((ROOT / "examples" / name).read_text(encoding="utf-8"))
    config = FinetuneConfig(model="model", **options)
    assert plain_object(TASKS.resolve(config.task))["max_length"] == length
    assert METHODS.resolve(config.method).name == options["method"]["name"]
    assert config.backbone_dropout == 0
    assert name in (ROOT / "tools" / "demo").read_text(encoding="utf-8")


def test_an_unknown_option_of_the_demo_is_refused():
    done = run("bash", "tools/demo", "--fulll")
    assert done.returncode == 64
    assert "unknown option --fulll · expected --full" in done.stderr
