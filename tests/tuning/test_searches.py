"""Each kind of search on functions that are known: what it tries, by hand."""

from __future__ import annotations

import dataclasses
import itertools
import math
from types import SimpleNamespace

import keras_tuner
import pytest

import tfft
from tfft.core.errors import ConfigError, DivergedError
from tfft.tuning.oracles import length_note, make_oracle
from tfft.tuning.search import _note_lost, run_search
from tfft.tuning.space import Space
from tfft.tuning.trials import ranked, read_trials

RANKS = Space({"rank": tfft.choice([4, 8, 16])})
RATE = Space({"rate": tfft.uniform(0, 1)})
SQUARE = Space({"a": tfft.choice([3, 1, 2, 5, 4]), "b": tfft.choice([1, 2, 3, 4, 5])})
KINDS = ("random", "bayesian", "hyperband", "grid")


def made(kind, space, *, max_trials=None, epochs=None, higher=False, seed=42):
    if "hyperband" in (kind, *(kind if isinstance(kind, dict) else {}).values()):
        max_trials, epochs = None, epochs or 9
    return make_oracle(
        kind,
        space.declared(keras_tuner),
        max_trials=max_trials,
        epochs=epochs,
        higher_is_better=higher,
        seed=seed,
    )


def searched(folder, kind, space, score, **options):
    """Returns the trials of a search whose trainings are calls of `score`.

    Args:
        folder: Where to.
        kind: The search.
        space: What is searched.
        score: Takes values and epochs; returns the score, or None to diverge.
        **options: Of `made`.
    """

    def measure(asked, epochs):
        found = score(asked.values, epochs)
        if found is None:
            raise DivergedError("the loss is nan")
        return dataclasses.replace(asked, score=found, epochs=epochs or 1)

    run_search(made(kind, space, **options), space, measure, _ignore, folder, 60)
    return read_trials(folder / "trials")


def _ignore(trial):
    """Shows nobody a trial."""


def trained(trials):
    return [(*one.values.values(), one.epochs) for one in trials]


@pytest.mark.parametrize("kind", KINDS)
def test_no_point_is_trained_twice_and_none_is_left_out(kind, tmp_path):
    trials = searched(tmp_path, kind, RANKS, lambda v, e: v["rank"], max_trials=10)
    found = trained(trials)
    assert len(set(found)) == len(found)
    assert {rank for rank, _ in found} == {4, 8, 16}
    assert kind == "hyperband" or len(found) == 3


@pytest.mark.parametrize("seed", range(4))
def test_a_random_search_tries_all_of_a_small_space(seed, tmp_path):
    options = {"max_trials": 30, "seed": seed}
    trials = searched(tmp_path, "random", SQUARE, lambda v, e: 1.0, **options)
    points = {tuple(one.values.values()) for one in trials}
    assert len(points) == len(trials) == 25


def test_a_grid_is_whole_and_in_order(tmp_path):
    trials = searched(tmp_path, "grid", SQUARE, lambda v, e: 1.0)
    expected = list(itertools.product((3, 1, 2, 5, 4), range(1, 6)))
    assert [tuple(one.values.values()) for one in trials] == expected
    assert length_note(made("grid", SQUARE)) == "grid: 25 combinations"


def test_a_grid_ends_early_where_that_is_asked_for_and_says_so(tmp_path):
    trials = searched(tmp_path, "grid", SQUARE, lambda v, e: 1.0, max_trials=7)
    expected = list(itertools.product((3, 1, 2, 5, 4), range(1, 6)))[:7]
    assert [tuple(one.values.values()) for one in trials] == expected
    note = length_note(made("grid", SQUARE, max_trials=7))
    assert note == "note: 7 of 25 combinations, because of max_trials"


@pytest.mark.parametrize(
    ("one", "kind", "expected"),
    [
        (tfft.log_uniform(1e-5, 1e-1), "grid", [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        (tfft.uniform(0, 0.3), "grid", [0, 0.075, 0.15, 0.225, 0.3]),
        (tfft.uniform(0, 0.3), {"name": "grid", "points": 2}, [0, 0.3]),
        (tfft.log_uniform(1e-4, 1), {"name": "grid", "points": 3}, [1e-4, 1e-2, 1]),
        (tfft.int_range(2, 9, step=3), "grid", [2, 5, 8]),
        (tfft.choice([0.5, 0.5, None]), "grid", [0.5, None]),
        (tfft.choice([True, False]), "grid", [True, False]),
    ],
    ids=str,
)
def test_a_grid_covers_a_range_from_end_to_end(one, kind, expected, tmp_path):
    trials = searched(tmp_path, kind, Space({"x": one}), lambda v, e: 1.0)
    found = [trial.values["x"] for trial in trials]
    assert found == expected
    assert [type(x) for x in found] == [type(x) for x in map(_number, expected)]


def _number(value):
    """An end of a range of numbers comes back as a float."""
    return float(value) if value in (0, 1) and not isinstance(value, bool) else value


CONDITIONED = Space(
    {
        "method": tfft.choice(["lora", "head"]),
        "rate": tfft.log_uniform(1e-3, 1e-1),
        "rank": tfft.choice([2, 4]).when(method="lora"),
    }
)


def test_a_grid_has_no_values_of_options_that_do_not_apply(tmp_path):
    kind = {"name": "grid", "points": 2}
    trials = searched(tmp_path, kind, CONDITIONED, lambda v, e: 1.0)
    lora = itertools.product(["lora"], (1e-3, 1e-1), (2, 4))
    head = itertools.product(["head"], (1e-3, 1e-1))
    assert [tuple(one.values.values()) for one in trials] == [*lora, *head]
    assert "6 comb" in length_note(made(kind, CONDITIONED))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bayesian"])
def test_a_search_that_is_stopped_goes_on_as_if_it_was_not(kind, tmp_path):
    """With a score for each call, so that a repetition would show."""
    whole = searched(tmp_path / "a", kind, SQUARE, _product, max_trials=12)
    calls = []

    def stopping(values, epochs):
        calls.append(values)
        if len(calls) in (1, 5):
            raise KeyboardInterrupt
        return _product(values, epochs)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path / "b", kind, SQUARE, stopping, max_trials=12)
    resumed = searched(tmp_path / "b", kind, SQUARE, stopping, max_trials=12)
    assert trained(resumed) == trained(whole)
    assert len(calls) == len(whole) + 2


def _product(values, epochs):
    return values["a"] * values["b"] / (epochs or 1)


def test_hyperband_promotes_what_there_is(tmp_path):
    """Three combinations where the brackets would draw 9, 5 and 3."""
    trials = searched(tmp_path, "hyperband", RANKS, lambda v, e: v["rank"] / e)
    found = trained(trials)
    assert sorted(found[:3]) == [(4, 1), (8, 1), (16, 1)]
    assert found[3:] == [(4, 3), (8, 3), (16, 3), (4, 9)]
    assert ranked(trials, False)[0].epochs == 9
    note = length_note(made("hyperband", RANKS))
    assert "3 combinations" in note
    assert "17" in note


@pytest.mark.parametrize("bad", [None, math.inf, math.nan])
def test_a_trial_that_fails_costs_no_promotion(bad, tmp_path, capfd):
    """Half of the points diverge; the brackets promote as many as were planned."""

    def score(values, epochs):
        return bad if values["rate"] < 0.5 else values["rate"] / epochs

    trials = searched(tmp_path, "hyperband", RATE, score)
    first = trials[:9]
    well = sorted(one.values["rate"] for one in first if one.score is not None)
    assert 3 < len(well) < 9
    promoted = [(rate, 3) for rate in well[:3]] + [(well[0], 9)]
    assert trained(trials)[9:13] == promoted
    failed = [one for one in trials if one.status == "failed"]
    assert all(one.values["rate"] < 0.5 and one.score is None for one in failed)
    assert len(failed) == len({one.values["rate"] for one in failed})
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("higher", [True, False])
def test_a_score_that_is_not_finite_is_worse_than_any(kind, higher, tmp_path, capfd):
    scores = {4: math.inf, 8: -math.inf, 16: math.nan, 32: 0.25, 64: None}
    space = Space({"rank": tfft.choice(list(scores))})
    options = {"higher": higher, "max_trials": 5, "epochs": 3}
    trials = searched(tmp_path, kind, space, lambda v, e: scores[v["rank"]], **options)
    status = {one.values["rank"]: one.status for one in trials}
    assert status == {rank: "failed" for rank in scores} | {32: "completed"}
    assert {one.values["rank"] for one in ranked(trials, higher)} == {32}
    messages = {one.values["rank"]: one.message for one in trials}
    assert messages[16] == "its score is nan"
    assert messages[64] == "the loss is nan"
    assert "Traceback" not in capfd.readouterr().err


def ended(oracle, points):
    """Lets an oracle believe that trials have ended, by their scores."""
    for number, (values, score) in enumerate(points):
        hyperparameters = oracle.get_space()
        hyperparameters.values = dict(values)
        one = keras_tuner.engine.trial.Trial(hyperparameters, str(number), "COMPLETED")
        one.score = score
        oracle.trials[one.trial_id] = one
    return oracle


@pytest.mark.parametrize(
    ("higher", "scores", "expected"),
    [
        (False, [1.0, 3.0, math.inf], [1.0, 3.0, 3.0]),
        (True, [1.0, 3.0, -math.inf], [-1.0, -3.0, -1.0]),
        (True, [-math.inf, -math.inf, -math.inf], [0.0, 0.0, 0.0]),
    ],
)
def test_bayesian_takes_a_diverged_trial_for_the_worst(higher, scores, expected):
    oracle = made("bayesian", RATE, higher=higher)
    ended(oracle, [({"rate": 0.1 * i}, score) for i, score in enumerate(scores)])
    assert oracle._vectorize_trials()[1].tolist() == expected


def test_an_option_that_is_not_set_lies_at_neither_end():
    space = Space(
        {
            "method": tfft.choice(["lora", "head"]),
            "scale": tfft.uniform(0, 1).when(method="lora"),
        }
    )
    points = [({"method": "lora", "scale": 0.2}, 1.0), ({"method": "head"}, 2.0)]
    vectors = ended(made("bayesian", space), points)._vectorize_trials()[0]
    assert vectors[:, 1].tolist() == pytest.approx([0.2, 0.5])


@pytest.mark.slow  # KerasTuner's choice of a point takes a second
def test_bayesian_leaves_a_region_where_trials_diverge(tmp_path):
    def score(values, epochs):
        return None if values["rate"] < 0.5 else 1 + values["rate"]

    trials = searched(tmp_path, "bayesian", RATE, score, max_trials=12)
    assert len({one.values["rate"] for one in trials}) == 12
    best = ranked(trials, False)[0]
    assert best.values["rate"] < 0.6  # near the border, on its right side
    assert sum(one.status == "failed" for one in trials) < 7


def test_bayesian_chooses_among_new_points_by_its_model(tmp_path):
    """Scores fall from 0 to 9: of the points that are left it takes the highest."""
    space = Space({"x": tfft.int_range(0, 9)})
    oracle = made({"name": "bayesian", "num_initial_points": 5}, space, max_trials=10)
    tried = [0, 2, 4, 6, 8, 9]
    ended(oracle, [({"x": x}, float(-x)) for x in tried])
    for trial in oracle.trials.values():
        oracle._record_values(trial)
    assert oracle.populate_space("6")["values"] == {"x": 7}


class Countdown(keras_tuner.Oracle):
    """An oracle of somebody else: 3, 2, 1."""

    def populate_space(self, trial_id):
        left = 3 - len(self.start_order)
        if not left:
            return {"status": "STOPPED", "values": None}
        return {"status": "RUNNING", "values": {"rank": left}}


def test_an_oracle_that_is_not_known_sees_a_failed_trial(tmp_path, capfd):
    space = Space({"rank": tfft.int_range(1, 3)})
    oracle = make_oracle(
        Countdown(), space.declared(keras_tuner),
        max_trials=None, epochs=None, higher_is_better=True, seed=1,
    )  # fmt: skip

    def measure(asked, epochs):
        rank = asked.values["rank"]
        return dataclasses.replace(asked, score=math.nan if rank == 2 else rank)

    run_search(oracle, space, measure, _ignore, tmp_path, 60)
    status = {one.hyperparameters["rank"]: one.status for one in oracle.trials.values()}
    assert status == {3: "COMPLETED", 2: "FAILED", 1: "COMPLETED"}
    assert capfd.readouterr().err == ""


def test_an_error_that_is_nobodys_fault_stops_the_search(tmp_path, capfd):
    calls = []

    def score(values, epochs):
        calls.append(values)
        raise ZeroDivisionError("not expected")

    with pytest.raises(ZeroDivisionError, match="not expected"):
        searched(tmp_path, "random", RANKS, score)
    assert len(calls) == 1
    assert "Traceback" not in capfd.readouterr().err


def test_a_trial_that_was_lost_twice_is_in_the_table(tmp_path):
    hyperparameters = RANKS.declared(keras_tuner)
    lost = keras_tuner.engine.trial.Trial(hyperparameters, "0", "FAILED", "worker gone")
    _note_lost(SimpleNamespace(trials={"0": lost}), RANKS, tmp_path)
    (found,) = read_trials(tmp_path / "trials")
    assert (found.status, found.message) == ("lost", "worker gone")


@pytest.mark.parametrize(
    ("kind", "space", "match"),
    [
        ({"name": "grid", "points": 1}, RATE, "points=1.*2 or more"),
        ({"name": "random", "points": 3}, RATE, "unknown option points"),
        ({"name": "hyperband", "factor": 1}, RATE, "KerasTuner refuses.*factor"),
        ("hyperband", Space({"epochs": tfft.int_range(1, 3)}), "epochs is in the sp"),
    ],
    ids=str,
)
def test_what_a_search_cannot_do_is_refused(kind, space, match):
    with pytest.raises(ConfigError, match=match):
        made(kind, space, epochs=3)


@pytest.mark.parametrize(
    ("kind", "space", "words"),
    [
        ("random", RANKS, ("3 combinations", "20")),
        ("bayesian", CONDITIONED, ()),
        ("random", RATE, ()),
        ("hyperband", RATE, ()),
    ],
)
def test_a_space_smaller_than_the_search_is_said(kind, space, words):
    note = length_note(made(kind, space))
    assert bool(note) == bool(words)
    assert all(word in note for word in words)
