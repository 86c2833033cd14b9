"""Starting is quick, and everything that can be said has a name and a help text."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tfft
from tfft.cli.parser import make_parser
from tfft.fitting.config import FinetuneConfig

NAMES = Path(__file__).parents[1] / "api.txt"
HEAVY = {"tensorflow", "keras", "keras_hub", "sklearn", "pandas", "grpc", "aiohttp"}


def imported(*arguments):
    """Returns the top-level modules a Python process imports, and its seconds."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = re.findall(r"^import time: .*\| +(\d+) \| +(\S+)$", done.stderr, re.M)
    names = {name.partition(".")[0] for _, name in rows}
    seconds = {name: int(total) / 1e6 for total, name in rows}
    return names, seconds


def test_importing_tfft_is_quick_and_imports_no_tensorflow():
    runs = [imported("-c", "import tfft") for _ in range(3)]
    assert "tfft" in runs[0][0]
    assert not runs[0][0] & HEAVY
    assert min(seconds["tfft"] for _, seconds in runs) < 0.3


def test_help_takes_less_than_half_a_second():
    def seconds():
        start = time.perf_counter()
        command = [sys.executable, "-m", "tfft", "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "finetune" in done.stdout
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize(
    "words", [["finetune", "--help"], ["serve", "--help"], ["--version"]]
)
def test_help_and_version_import_no_tensorflow(words):
    names, _ = imported("-m", "tfft", *words)
    assert "argparse" in names
    assert not names & HEAVY


def test_every_option_of_finetune_has_a_help_text(capsys):
    with pytest.raises(SystemExit) as ended:
        make_parser().parse_args(["finetune", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    helps = dict(re.findall(r"^  --(\w+)(?: VALUE)?\s+(\w.*)$", shown, re.M))
    fields = {field.name for field in dataclasses.fields(FinetuneConfig)}
    assert fields - {"tokenizer", "callbacks"} == set(helps) - {"config", "debug"}
    assert "Defaults to 3." in helps["epochs"]


def test_every_public_name_resolves_and_is_documented():
    for name in tfft.__all__:
        value = getattr(tfft, name)
        assert value is not None
        assert name == "__version__" or value.__doc__
    assert dir(tfft) == sorted(tfft.__all__)
    with pytest.raises(AttributeError, match="finetun"):
        _ = tfft.finetun


def test_the_public_names_are_those_of_the_list():
    assert NAMES.read_text(encoding="utf-8").split() == sorted(tfft.__all__)
