"""The command: runs the jobs in turn and writes the results."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench_peers import machine
from bench_peers.compare import UnequalWorkError
from bench_peers.environments import PEERS, ROOT, python_of
from bench_peers.job import JOBS, Job
from bench_peers.process import JobFailedError, environment_of, run_once
from bench_peers.tables import page

SCRIPTS = Path(__file__).parent / "jobs"


def main(argv: list[str] | None = None) -> int:
    """Returns 0, or 1 when a peer failed or the work was not equal."""
    options = parse(argv)
    pythons = {peer: _python(peer, options) for peer in options.peers}
    document: dict[str, Any] = {
        "command": _asked(options),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "rounds": options.rounds,
        "seed": options.seed,
        "jobs": {},
    }
    good = True
    for name in options.jobs:
        job = JOBS[name]
        _prepare(job, options)
        document["jobs"][name] = cases = {}
        for case, extra in job.cases.items():
            cases[case] = measure(job, extra, pythons, options)
            good = good and not cases[case]["fault"]
            _write(document, options.output)
    print(f"written: {options.output}.json and {options.output}.md")
    return 0 if good else 1


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("jobs", nargs="+", choices=JOBS, metavar="JOB")
    parser.add_argument(
        "--peers", type=lambda text: text.split(","), default=list(PEERS)
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="instead of the job's own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="bfloat16", help="or float32")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "bench")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PEER=PATH",
        help="an existing interpreter, instead of an environment made here",
    )
    parser.add_argument(
        "--argument",
        action="append",
        default=[],
        metavar="PEER=ARGUMENT",
        help="a further argument of a peer's script, such as torch=--batches=grouped",
    )
    options = parser.parse_args(argv)
    unknown = set(options.peers) - set(PEERS)
    if unknown:
        parser.error(f"--peers: {', '.join(sorted(unknown))}; known: {PEERS}")
    options.python = dict(one.split("=", 1) for one in options.python)
    options.argument = [one.split("=", 1) for one in options.argument]
    options.cache = options.cache.resolve()
    return options


def measure(
    job: Job, extra: tuple[str, ...], pythons: dict[str, Path], options: Any
) -> dict[str, Any]:
    """Returns the runs of a job for each peer; the peers take turns.

    Args:
        job: The job.
        extra: The arguments of the case.
        pythons: The interpreter of each peer.
        options: The options of the command line.
    """
    peers = [peer for peer in pythons if peer in job.peers]
    commands = {
        peer: [
            str(pythons[peer]),
            str(SCRIPTS / f"{job.script}_{peer}.py"),
            *("--assets", str(options.cache / "assets"), "--seed", str(options.seed)),
            *("--rows", str(options.rows or job.rows)),
            *("--precision", options.precision, *job.arguments, *extra),
            *(more for name, more in options.argument if name == peer),
        ]
        for peer in peers
    }
    runs: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers}
    faults: list[str] = []
    for turn in range(options.rounds):
        for peer in list(runs):
            try:
                environment = environment_of(peer, ROOT, options.cache)
                runs[peer].append(run_once(commands[peer], environment))
            except JobFailedError as error:
                faults.append(f"{peer} failed: {error}")
                del runs[peer]
                print(faults[-1], file=sys.stderr, flush=True)
                continue
            figure = job.figures[0]
            value = runs[peer][-1]["figures"][figure.key]
            print(f"round {turn + 1}, {peer}: {value:.4g} {figure.title}", flush=True)
    try:
        job.must_match.check({peer: of for peer, of in runs.items() if of})
    except UnequalWorkError as error:
        faults.append(f"unequal work: {error}")
        print(faults[-1], file=sys.stderr, flush=True)
    shown = {peer: _shown(command, options) for peer, command in commands.items()}
    return {"commands": shown, "runs": runs, "fault": "\n".join(faults)}


def _asked(options: Any) -> str:
    rows = [f"--rows {options.rows}"] if options.rows else []
    more = [f"--argument {peer}={one}" for peer, one in options.argument]
    peers, rounds = ",".join(options.peers), f"--rounds {options.rounds}"
    words = ["tools/bench", *options.jobs, "--peers", peers, rounds, *rows]
    return " ".join([*words, f"--precision {options.precision}", *more])


def _shown(command: list[str], options: Any) -> str:
    """Returns a command as typed in this checkout, with the usual cache."""
    text = " ".join(command).replace(str(options.cache), ".cache/bench")
    return text.replace(f"{ROOT}/", "")


def _python(peer: str, options: Any) -> Path:
    given = options.python.get(peer)
    return Path(given) if given else python_of(peer, options.cache)


def _prepare(job: Job, options: Any) -> None:
    """Makes the models and data of a job in tfft's environment."""
    folder = options.cache / "assets"
    missing = [name for name in job.assets if not (folder / name).is_dir()]
    if missing:
        command = [_python("tfft", options), "-m", "bench_peers.assets", folder]
        environment = environment_of("tfft", ROOT, options.cache)
        subprocess.run(
            [*command, *missing], check=True, env={**os.environ, **environment}
        )


def _write(document: dict[str, Any], output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    output.with_suffix(".md").write_text(page(document, JOBS), encoding="utf-8")
