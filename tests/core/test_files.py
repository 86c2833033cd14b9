"""Files are there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from tfft.checkpoints.tensors import save_tensors
from tfft.core import files
from tfft.core.errors import StorageError

LIMITED = """
import resource, signal, sys
from pathlib import Path
from tfft.core.errors import StorageError
from tfft.core.files import write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path(sys.argv[1]), "new" * 1000)
except StorageError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def fail(number):
    def write(path):
        path.write_text("half of the new")
        raise OSError(number, os.strerror(number))

    return write


@pytest.fixture
def old(tmp_path):
    file = tmp_path / "record.json"
    file.write_text("old")
    return file


def test_a_file_is_replaced_and_nothing_is_left_over(old):
    files.write_text(old, "größer\n")
    assert old.read_bytes() == "größer\n".encode()
    assert names(old.parent) == ["record.json"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_weights_have_the_mode_of_any_other_file(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        # safetensors makes files that their owner alone may read.
        save_tensors(tmp_path / "head.safetensors", {"a": np.zeros(2)})
        files.write_text(tmp_path / "run.json", "{}")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {mode}


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\nb", "a\tb", "a\\nb", "\u2028\x85", "größe"]
)
def test_one_line_is_one_line_and_can_be_read_back(text):
    line = files.one_line(text)
    assert len(line.splitlines()) == 1
    assert "\t" not in line
    assert line.encode("latin-1", "backslashreplace").decode("unicode_escape") == text


def test_json_is_readable_and_ends_with_a_newline(tmp_path):
    files.write_json(tmp_path / "new" / "x.json", {"größe": [1, 2.5]})
    text = (tmp_path / "new" / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"größe": [1, 2.5]}
    assert text.startswith('{\n  "größe"')
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EACCES, "check that the folder exists"),
    ],
)
def test_the_old_file_stands_when_the_disk_refuses(old, number, fix):
    with pytest.raises(StorageError) as caught:
        files.write_atomically(old, fail(number))
    assert caught.value.where == str(old)
    assert os.strerror(number) in caught.value.what
    assert caught.value.fix.startswith(fix)
    assert old.read_text() == "old"
    assert names(old.parent) == ["record.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_old_file_stands_when_the_writer_raises(old, error):
    def write(path):
        path.write_text("half of the new")
        raise error

    with pytest.raises(error):
        files.write_atomically(old, write)
    assert old.read_text() == "old"
    assert names(old.parent) == ["record.json"]


def test_the_old_file_stands_when_the_kernel_limits_the_size(old):
    command = [sys.executable, "-c", LIMITED, str(old)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 74, done.stderr
    assert "File too large" in done.stdout
    assert "fix: free some space" in done.stdout
    assert old.read_text() == "old"
    assert names(old.parent) == ["record.json"]


@pytest.mark.parametrize("name", ["record.json/x", "x" * 300])
def test_a_place_that_cannot_be_is_a_storage_error(old, name):
    with pytest.raises(StorageError, match="cannot write"):
        files.write_text(old.parent / name, "new")


def test_a_new_directory_appears_whole(tmp_path):
    with files.new_directory(tmp_path / "a" / "run") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "a" / "run").exists()
    assert (tmp_path / "a" / "run" / "x").read_text() == "1"
    assert names(tmp_path / "a") == ["run"]


def test_a_new_directory_replaces_the_old_one_with_all_its_files(tmp_path):
    (tmp_path / "run" / "deep").mkdir(parents=True)
    with files.new_directory(tmp_path / "run") as folder:
        (folder / "x").write_text("1")
    assert names(tmp_path / "run") == ["x"]
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "full"), StorageError),
        (ValueError("x"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_the_old_directory_stands_after_an_error(tmp_path, error, expected):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old").write_text("old")

    def fill(folder):
        (folder / "x").write_text("1")
        raise error

    with pytest.raises(expected), files.new_directory(tmp_path / "run") as folder:
        fill(folder)
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "old").read_text() == "old"


def test_sha256(old):
    assert files.sha256(old) == hashlib.sha256(b"old").hexdigest()
