"""Rows left out, words that look like nothing, folders in use."""

from __future__ import annotations

import json
import subprocess
import sys

from tfft.cli.main import main
from tfft.core.files import locked


def test_a_folder_that_another_process_writes_to_is_refused(box, capsys):
    code = (
        "import sys; from pathlib import Path; from tfft.core.files import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(box.folder / "run")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout.readline() == "held\n"
        assert main(box.good_with()) == 73
        holder.stdin.write("\n")
    error = capsys.readouterr().err
    assert (
        f"another process is writing to this folder (process {holder.pid} on " in error
    )
    with locked(box.folder / "run"):  # free again
        assert holder.returncode == 0


def test_a_failed_overwrite_leaves_the_old_run(box, capsys):
    record = box.file("run/run.json", '{"format": 1}')
    assert main(box.tune(box.folder / "nowhere.csv", "--overwrite")) == 66
    assert record.read_text() == '{"format": 1}'
    assert "nowhere.csv" in capsys.readouterr().err


def test_skipped_rows_are_counted_listed_and_noted(box, capsys):
    box.file("a.csv", box.good + ",neg\nsome,\n")
    more = ["--on_bad_rows", "skip", "--epochs", "1", "--method", "head"]
    assert main([*box.tune(box.folder / "a.csv", *more), "--verbose", "1"]) == 0
    note = (
        'left out 2 of 42 rows: empty text in column "text" (1), empty label in column '
        f'"label" (1) · {box.folder / "a.csv"}:42, {box.folder / "a.csv"}:43'
    )
    assert f"note: train: {note}" in capsys.readouterr().out
    notes = json.loads((box.folder / "run" / "run.json").read_text())["notes"]
    assert f"train: {note}" in notes


def test_na_null_and_none_are_text(box, capsys):
    words = ["NA", "null", "None", "nan"]
    rows = "".join(f"{word},{word}\n" for word in words for _ in range(3))
    box.file("a.csv", "text,label\n" + rows)
    box.file("b.yaml", "learning_rate: 1e-5\nmethod: head\nepochs: 1\ntest: 0\n")
    options = ["--config", str(box.folder / "b.yaml"), "--validation", "0"]
    assert main(box.tune(box.folder / "a.csv", *options)) == 0
    record = json.loads((box.folder / "run" / "run.json").read_text())
    assert record["labels"] == sorted(words)
    assert record["data"]["rows"] == {"train": 12}
    assert record["config"]["learning_rate"] == 1e-5
    assert main(["predict", str(box.folder / "run"), "NA", "null", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["label"] in words for line in lines] == [True, True]
