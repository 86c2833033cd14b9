"""The comparison with other libraries: its arithmetic, and what it refuses."""

import doctest
import json
import math
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
from bench_peers import (
    articles,
    compare,
    environments,
    main,
    process,
    random_gpt2,
    tables,
)
from bench_peers.assets import ASSETS
from bench_peers.compare import Figure, MustMatch, UnequalWorkError
from bench_peers.job import JOBS, Job

SECONDS = Figure("seconds", "epoch, s")
SPEED = Figure("speed", "labels/s", higher_is_better=True)
MUST_MATCH = MustMatch(
    work={"rows": 0, "labels": 0.01, "precision": 0}, quality={"loss": 0.1}
)


def run(seconds=2.0, speed=10.0, **changes):
    """Returns what a process reports."""
    work = {"rows": 8, "labels": 1000, "precision": "bfloat16"}
    loss = changes.pop("loss", 2.0)
    return {
        "figures": {"seconds": seconds, "speed": speed},
        "work": {**work, **changes},
        "quality": {"loss": loss},
        "settings": {},
        "versions": {"tfft": "1"},
    }


@pytest.mark.parametrize("module", [articles, compare, tables])
def test_the_values_in_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_the_table_has_medians_extremes_and_ratios():
    job = Job("a job", "script", (SECONDS, SPEED), MUST_MATCH)
    runs = {
        "tfft": [run(2.0, 300.0), run(9.0, 100.0), run(4.0, 200.0)],
        "torch": [run(8.0, 50.0), run(6.0, 80.0), run(7.0, 90.0)],
    }
    lines = tables.figures_table(job, runs).splitlines()
    assert lines[0] == "|  | tfft | torch |"
    # 7 / 4 seconds, and 200 / 80 labels a second.
    assert lines[2] == "| epoch, s | 4 (2 to 9) | 7 (6 to 8) · **1.75×** |"
    assert lines[3] == ("| labels/s | 200 (100 to 300) | 80 (50 to 90) · **2.50×** |")


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"rows": 9}, "rows: tfft 8, torch 9"),
        ({"labels": 1011}, "labels: tfft 1000, torch 1011 .may differ by 1%"),
        ({"precision": "float32"}, "precision: tfft bfloat16, torch float32"),
        ({"precision": None}, "precision"),
        ({"loss": 2.3}, "loss"),
        ({"loss": math.nan}, "loss"),
    ],
)
def test_unequal_work_is_refused(other, named):
    with pytest.raises(UnequalWorkError, match=named):
        MUST_MATCH.check({"tfft": [run()], "torch": [run(**other)]})


@pytest.mark.parametrize("other", [{}, {"labels": 1010}, {"loss": 2.2}])
def test_work_within_the_limits_is_compared(other):
    MUST_MATCH.check({"tfft": [run()], "torch": [run(**other)]})


def test_words_that_change_between_rounds_are_refused():
    runs = [run(), run(precision="float32")]
    with pytest.raises(UnequalWorkError, match="bfloat16/float32"):
        MUST_MATCH.check({"tfft": runs, "torch": [run()]})


def test_every_job_has_its_scripts_and_assets():
    for job in JOBS.values():
        assert job.figures
        assert set(job.assets) <= set(ASSETS)
        for peer in job.peers:
            assert (main.SCRIPTS / f"{job.script}_{peer}.py").is_file()
    for peer in environments.PEERS:
        assert (main.SCRIPTS.parent / "requirements" / f"{peer}.txt").is_file()


def test_the_random_model_has_the_parameters_of_gpt2():
    shapes = random_gpt2._shapes().values()
    assert sum(math.prod(shape) for shape in shapes) == 124_439_808


def measured_from_a_small_process(script):
    """Runs a script from a process that is small itself, as tools/bench is.

    Until it begins, a process has the peak memory of the one that starts it.
    """
    measure = (
        "import json, sys; from bench_peers import process; "
        "print(json.dumps(process.run_once([sys.executable, '-c', sys.argv[1]], {})))"
    )
    tools = str(Path(process.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", measure, script],
        env={**os.environ, "PYTHONPATH": tools},
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_process_is_measured_from_outside():
    line = json.dumps({"figures": {"first_step_at": 0.0}})
    script = f"block = b'1' * 200_000_000; print('before'); print('{line}')"
    found = measured_from_a_small_process(script)
    assert found["process_peak_gb"] > 0.2
    assert found["figures"]["first_step_seconds"] < 0
    found = measured_from_a_small_process(f"print('{line}')")
    # Not the largest of all processes so far.
    assert found["process_peak_gb"] < 0.1


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import sys; sys.exit('no such model')", "no such model"),
        ("print('no JSON')", "no JSON"),
        ("", "Expecting value"),
    ],
)
def test_a_failed_process_is_told_with_what_it_said(script, told):
    with pytest.raises(process.JobFailedError, match=told):
        process.run_once([sys.executable, "-c", script], {})


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Runs the command on a job of two scripts; returns status, document and log."""
    log = tmp_path / "log"

    def call(ours, theirs, rounds=2):
        scripts = {"tfft": ours, "torch": theirs}
        for peer, said in scripts.items():
            text = f"open({str(log)!r}, 'a').write('{peer} ')\n{said}\n"
            (tmp_path / f"work_{peer}.py").write_text(text)
        job = Job("a job", "work", (SECONDS,), MUST_MATCH, peers=("tfft", "torch"))
        monkeypatch.setattr(main, "SCRIPTS", tmp_path)
        monkeypatch.setitem(JOBS, "work", job)
        pythons = [f"--python={peer}={sys.executable}" for peer in scripts]
        output = tmp_path / "out"
        folders = [f"--output={output}", f"--cache={tmp_path}"]
        asked = ["work", "--peers=tfft,torch", f"--rounds={rounds}"]
        status = main.main([*asked, *pythons, *folders])
        page = output.with_suffix(".md").read_text()
        document = json.loads(output.with_suffix(".json").read_text())
        case = document["jobs"]["work"][""]
        return types.SimpleNamespace(
            status=status, page=page, case=case, order=log.read_text().split()
        )

    return call


def said(**changes):
    return f"print({json.dumps(run(**changes))!r})"


def test_the_peers_take_turns_and_a_table_comes_out(bench):
    found = bench(said(seconds=2.0), said(seconds=5.0), rounds=3)
    assert found.status == 0
    assert found.order == ["tfft", "torch"] * 3
    assert "| epoch, s | 2 (2 to 2) | 5 (5 to 5) · **2.50×** |" in found.page
    assert "work_tfft.py --assets .cache/bench/assets --seed 0" in found.page


def test_no_table_comes_out_of_unequal_work(bench):
    found = bench(said(), said(labels=1100))
    assert found.status == 1
    assert "labels: tfft 1000, torch 1100" in found.case["fault"]
    assert "Not compared." in found.page
    assert "×**" not in found.page


def test_a_peer_that_fails_is_not_tried_again_and_the_others_go_on(bench):
    found = bench(said(), "raise ValueError('no memory')", rounds=3)
    assert found.status == 1
    assert found.order == ["tfft", "torch", "tfft", "tfft"]
    assert "no memory" in found.case["fault"]
    assert len(found.case["runs"]["tfft"]) == 3


def test_an_unknown_peer_is_refused(capsys):
    with pytest.raises(SystemExit):
        main.main(["cls", "--peers=jax"])
    assert "jax; known" in capsys.readouterr().err
