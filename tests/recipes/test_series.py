"""Repeats over seeds and learning curves."""

from __future__ import annotations

import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import tfft
from tfft.core.errors import ConfigError, DataError, OutputInUseError
from tfft.data.table import Table
from tfft.evaluation.pictures import draw_learning_curve
from tfft.evaluation.spread import Change, change_between
from tfft.evaluation.text_classification import TextClassificationReport
from tfft.fitting.series import Series
from tfft.recipes.learning_curve import LearningCurve, _parts


@pytest.fixture(scope="module")
def options(bert_folder, make_rows):
    return {
        "model": bert_folder,
        "data": {"train": make_rows(48), "test": make_rows(30, seed=1)},
        "method": "head",
        "epochs": 1,
        "learning_rate": 0.05,
        "batch_size": 8,
        "precision": "float32",
        "verbose": 0,
    }


@pytest.fixture(scope="module")
def repeats(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series") / "seeds"
    return tfft.repeat(seeds=(7, 3, 11), output_dir=folder, **options)


@pytest.fixture(scope="module")
def curve(options, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series") / "curve"
    return tfft.learning_curve(
        sizes=(0.25, 0.5, 1), metric="accuracy", output_dir=folder, **options
    )


def test_the_spread_is_that_of_runs_on_the_same_rows(repeats):
    runs = [tfft.load(folder) for folder in repeats.runs]
    assert [run.record["config"]["seed"] for run in runs] == [7, 3, 11]
    marks = {json.dumps(run.record["data"]["fingerprint"]) for run in runs}
    assert len(marks) == 1
    losses = [run.metrics["test"]["loss"] for run in runs]
    assert len(set(losses)) == 3
    spread = repeats.spread["loss"]
    assert spread.mean == pytest.approx(np.mean(losses))
    assert spread.std == pytest.approx(np.std(losses, ddof=1))
    assert (spread.low, spread.high) == (min(losses), max(losses))
    assert str(spread) in repeats.table().to_markdown()


def test_seeds_can_be_members_of_an_ensemble(repeats, options):
    scores = tfft.ensemble(repeats.runs).compare(options["data"]["test"])
    own = [one["loss"] for one in repeats.metrics.values()]
    assert [one["loss"] for one in scores.members.values()] == pytest.approx(own)


def test_smaller_parts_lie_in_the_larger_and_keep_the_proportion(curve, options):
    assert curve.rows == (10, 22, 44)
    runs = [tfft.load(curve.folder / f"rows-{count}") for count in curve.rows]
    assert [run.record["data"]["rows"]["train"] for run in runs] == [10, 22, 44]
    held = {run.record["data"]["fingerprint"]["validation"] for run in runs}
    assert len(held) == 1
    for run, scores, interval in zip(runs, curve.metrics, curve.intervals, strict=True):
        again = run.evaluate(options["data"]["test"])
        assert scores == pytest.approx(again.metrics, abs=1e-6)
        assert interval == pytest.approx(again.details.intervals["accuracy"])


def test_each_part_lies_in_the_next_with_the_classes_in_proportion(make_rows):
    rows = make_rows(80)
    table = Table.from_rows(rows, "list")
    session = SimpleNamespace(tables={"train": table})
    task, config = tfft.TextClassification(), SimpleNamespace(seed=3)
    series = SimpleNamespace(session=session, task=task, config=config)
    parts = _parts(series, (20, 40, 80))
    assert [len(part) for part in parts] == pytest.approx([20, 40, 80], abs=1)
    assert set(parts[0]) < set(parts[1]) < set(parts[2]) == set(range(80))
    shares = [np.mean([rows[i]["label"] == "pos" for i in part]) for part in parts]
    assert np.ptp(shares) < 0.05  # a row of twenty


def test_the_curve_is_drawn(real_pictures):
    from matplotlib.image import imread

    def pixels(*scores):
        ends = [(score - 0.1, score + 0.1) for score in scores]
        picture = draw_learning_curve((10, 100, 1000), scores, ends, "accuracy")
        return imread(io.BytesIO(picture))

    rising, same, falling = (
        pixels(0.5, 0.6, 0.9),
        pixels(0.5, 0.6, 0.9),
        pixels(0.9, 0.6, 0.5),
    )
    assert rising.std() > 0.05  # something is drawn
    np.testing.assert_array_equal(rising, same)
    assert rising.shape != falling.shape or np.abs(rising - falling).max() > 0.5


def test_the_curve_is_written_as_picture_and_table(curve):
    picture = (curve.folder / "learning_curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    text = (curve.folder / "learning_curve.md").read_text(encoding="utf-8")
    assert curve.verdict in text
    assert all(f"| {count} |" in text for count in curve.rows)
    values = json.loads((curve.folder / "learning_curve.json").read_text())
    assert values["metrics"] == list(curve.metrics)
    assert values["verdict"] == curve.verdict


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change(0.05, 0.01, 0.09), "More data is likely to help: from 4 to 8 rows"),
        (Change(-0.05, -0.09, -0.01), "More data did not help"),
        (Change(0.01, -0.02, 0.04), "which chance explains"),
    ],
)
def test_the_verdict_follows_the_interval(change, words, tmp_path):
    scores = ({"f1": 0.5}, {"f1": 0.55})
    found = LearningCurve(tmp_path, "f1", (4, 8), scores, ((0, 1), (0, 1)), change)
    assert words in found.verdict


def test_a_change_is_paired_by_row():
    random = np.random.default_rng(0)
    gold = random.integers(0, 2, 200)
    sure = np.where(random.random(200) < 0.8, gold, 1 - gold)
    better = np.where(np.arange(200) < 10, gold, sure)  # a few more are right
    before, after = (
        TextClassificationReport.evidence(np.eye(2)[said], gold, ("a", "b"))
        for said in (sure, better)
    )
    change = change_between(before, after, "accuracy")
    hits = (better == gold).astype(float) - (sure == gold)
    draws = random.choice(hits, (4000, 200)).mean(axis=1)
    assert change.gain == pytest.approx(hits.mean())
    # Quantiles of 1,000 draws against 4,000 others: steps of half a row.
    assert change.low == pytest.approx(np.quantile(draws, 0.025), abs=0.006)
    assert change.high == pytest.approx(np.quantile(draws, 0.975), abs=0.006)
    worse = change_between(before, after, "loss")
    assert worse.gain > 0  # less loss is a gain


@pytest.mark.parametrize(
    ("recipe", "given", "message"),
    [
        (tfft.repeat, {"seeds": 1}, "seeds=1 makes no sense"),
        (tfft.repeat, {"seeds": (4, 4)}, "all different"),
        (tfft.repeat, {"resume": True}, "resume=True for several"),
        (tfft.learning_curve, {"sizes": (0.5, 0.25)}, "rising"),
        (tfft.learning_curve, {"sizes": (0.5, 20)}, "shares up to 1, or numbers"),
        (tfft.learning_curve, {"sizes": (10, 4000)}, r"\[10, 4000\] of 44 training"),
    ],
)
def test_what_cannot_be_meant_is_refused(recipe, given, message, options, tmp_path):
    with pytest.raises(ConfigError, match=message):
        recipe(**options, **given, output_dir=tmp_path / "run")
    assert not list(tmp_path.rglob("run.json"))


def test_auto_is_settled_once_for_all(options, tmp_path):
    given = {**options, "method": "auto", "verbose": 1, "output_dir": tmp_path}
    given.pop("learning_rate")
    series = Series(given, "any.json", "run")
    assert series.config.method != "auto"
    assert series.options()["method"]["name"]


def test_without_rows_to_score_on_nothing_begins(options, make_rows, tmp_path):
    bare = {**options, "data": make_rows(20), "test": 0, "validation": 0}
    with pytest.raises(ConfigError, match="no rows to score on"):
        tfft.repeat(**bare, output_dir=tmp_path / "run")


def test_overwrite_removes_the_runs_of_an_earlier_series(options, tmp_path):
    folder = tmp_path / "seeds"
    tfft.repeat(**options, seeds=2, output_dir=folder)
    with pytest.raises(OutputInUseError, match="not empty"):
        tfft.repeat(**options, seeds=2, output_dir=folder)
    bad = {**options, "data": [{"text": "a", "label": None}]}
    with pytest.raises(DataError):
        tfft.repeat(**bad, seeds=2, output_dir=folder, overwrite=True)
    assert (folder / "seed-42" / "run.json").is_file()  # nothing is lost by that
    (folder / "notes.txt").write_text("mine")
    shutil.copytree(folder / "seed-42", folder / "seed-of-mine")
    tfft.repeat(**options, seeds="5,6", output_dir=folder, overwrite=True)
    names = {path.name for path in folder.iterdir()}
    assert names == {"seed-5", "seed-6", "repeat.json", "notes.txt", "seed-of-mine"}
