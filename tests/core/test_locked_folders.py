"""Folders have one writer, and a dead one holds nobody up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tfft.core import files
from tfft.core.errors import OutputInUseError, StorageError

HOLDER = """
import sys
from pathlib import Path
from tfft.core.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_held_by_another_process_names_it(tmp_path, holder):
    with pytest.raises(OutputInUseError) as caught, files.locked(tmp_path / "run"):
        pytest.fail("two writers in one folder")
    assert caught.value.exit_code == 73
    assert f"process {holder.pid} on " in caught.value.what
    assert caught.value.where == str(tmp_path / "run")


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    with files.locked(tmp_path / "run"):
        owner = (tmp_path / "run" / ".lock-owner").read_text()
    assert owner.startswith(f"process {os.getpid()} on ")


def test_a_lock_leaves_nothing_behind_even_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="x"), files.locked(tmp_path / "run"):
        raise ValueError("x")
    assert names(tmp_path / "run") == []
    with files.locked(tmp_path / "run"):
        assert names(tmp_path / "run") == [".lock", ".lock-owner"]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StorageError), files.locked(file / "run"):
        pytest.fail("a folder below a file")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [(None, False), (".lock", False), (".tmp-1-x", False), ("x", True), (".x", True)],
)
def test_what_occupies_a_folder(tmp_path, entry, expected):
    if entry:
        (tmp_path / entry).write_text("")
    assert files.is_occupied(tmp_path) is expected


def test_a_file_occupies_and_nothing_does_not(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    assert files.is_occupied(file) is True
    assert files.is_occupied(tmp_path / "new") is False
