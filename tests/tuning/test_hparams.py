"""A search on the HParams page of TensorBoard, read over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

import tfft
from tfft.tuning.picture import axes_of, draw
from tfft.tuning.space import Space
from tfft.tuning.trials import Trial

SPACE = Space(
    {
        "method.rank": tfft.choice([4, 8]),
        "epochs": tfft.int_range(1, 3),
        "learning_rate": tfft.log_uniform(1e-4, 1e-2),
        "method.target": tfft.choice(["query", "all-linear"]),
    }
)


def trial(name, rate, rank, score):
    values = {
        "method.rank": rank,
        "epochs": 2,
        "learning_rate": rate,
        "method.target": "query",
    }
    history = [2 * score, score]
    metrics = {"loss": score, "accuracy": 1 - score}
    return Trial(
        name, "completed", values, 2, score, 2, metrics, history, 1.5, worker=""
    )


TRIALS = [trial("0", 1e-3, 4, 0.5), trial("1", 2e-4, 8, 0.25)]
FAILED = Trial("2", "failed", {"learning_rate": 5e-3}, message="the loss is nan")


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """The address of a TensorBoard that shows the logs of a search."""
    from tfft.tuning.hparams import write_space, write_trial

    folder = tmp_path_factory.mktemp("logs")
    write_space(folder, SPACE, "loss")
    for one in (*TRIALS, FAILED):
        write_trial(folder, one, "loss")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    server = subprocess.Popen(
        [*command, "--port", "0", "--host", "127.0.0.1", "--load_fast", "false"],
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in server.stderr:
        if "http://" in line:
            break
    yield line.split("at ")[1].split(" ")[0].rstrip("/")
    server.kill()
    server.wait()
    server.stderr.close()


def ask(address, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/{path}", data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def ask_until(address, path, body, full):
    """TensorBoard answers before it has read all files."""
    for _ in range(60):
        try:
            found = ask(address, path, body)
        except urllib.error.HTTPError:
            found = None
        if found and full(found):
            return found
        time.sleep(0.5)
    raise AssertionError(f"{path} says {found}")


@pytest.mark.slow
def test_hparams_and_scalars_show_every_trial(board):
    experiment = ask_until(
        board, "data/plugin/hparams/experiment", {}, lambda one: one.get("hparamInfos")
    )
    infos = {one["name"]: one for one in experiment["hparamInfos"]}
    assert infos.keys() == SPACE.entries.keys()
    assert infos["learning_rate"]["domainInterval"] == {
        "minValue": 1e-4,
        "maxValue": 1e-2,
    }
    assert infos["method.rank"]["domainDiscrete"] == [4.0, 8.0]
    query = {
        "startIndex": 0,
        "sliceSize": 10,
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": [{"metric": {"tag": "loss"}}],
    }
    found = ask_until(
        board,
        "data/plugin/hparams/session_groups",
        query,
        lambda one: len(one.get("sessionGroups", ())) == len(TRIALS),
    )
    failed = ask(
        board,
        "data/plugin/hparams/session_groups",
        {**query, "allowedStatuses": ["STATUS_FAILURE"], "colParams": []},
    )
    assert [one["hparams"] for one in failed["sessionGroups"]] == [
        {"learning_rate": 5e-3}
    ]
    shown = {
        group["hparams"]["learning_rate"]: group["metricValues"][0]["value"]
        for group in found["sessionGroups"]
    }
    assert shown == {1e-3: pytest.approx(0.5), 2e-4: pytest.approx(0.25)}
    tags = ask(board, "data/plugin/scalars/tags")
    assert tags["1"].keys() == {"epoch/loss", "loss", "accuracy"}
    curve = ask(board, "data/plugin/scalars/scalars?run=1&tag=epoch%2Floss")
    assert [(step, value) for _, step, value in curve] == [(1, 0.5), (2, 0.25)]


def test_the_picture_has_the_learning_rate_and_the_rank_where_they_are_searched():
    assert axes_of(SPACE) == ["learning_rate", "method.rank"]
    assert axes_of(Space({"epochs": tfft.int_range(1, 3)})) == ["epochs"]
    assert draw(TRIALS, SPACE, "loss")[:4] == b"\x89PNG"
    assert draw(TRIALS, Space({"method": tfft.choice(["lora"])}), "loss") is None
    other = [trial("0", 1e-3, 4, 0.5), trial("1", 2e-4, 8, 0.3)]
    assert draw(TRIALS, SPACE, "loss") != draw(other, SPACE, "loss")
