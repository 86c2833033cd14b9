"""The median rule, by hand."""

from __future__ import annotations

import pytest

from tfft.tuning.pruning import Watch, is_hopeless
from tfft.tuning.trials import Trial, ranked, table_of


def ended(*histories, epochs=4, status="completed"):
    return [
        Trial(str(i), status, {}, epochs, history=list(history))
        for i, history in enumerate(histories)
    ]


# After two of four epochs the best so far are 5, 3, 4 and 9: the median is 4.5.
OTHERS = ended([1, 5, 8], [3, 2, 9], [4, 4, 4, 4], [9, 1, 1, 1])


@pytest.mark.parametrize(
    ("history", "higher", "hopeless"),
    [
        ([4.4, 4.4], True, True),
        ([4.6, 0.0], True, False),  # the best so far counts
        ([4.5, 4.5], True, False),  # no worse than the median
        ([0.0], True, True),  # of 1, 3, 4 and 9 after a quarter: too early
        ([4, 4, 4, 4], True, False),  # it has ended anyway
    ],
)
def test_a_trial_below_the_median_has_no_hope(history, higher, hopeless):
    if len(history) == 1:
        hopeless = False
    assert is_hopeless(history, 4, OTHERS, higher) is hopeless


def test_less_is_better_the_other_way_round():
    # After two epochs the lowest so far are 1, 2, 4 and 1: the median is 1.5.
    assert is_hopeless([1.6, 1.6], 4, OTHERS, False)
    assert not is_hopeless([1.4, 9.0], 4, OTHERS, False)


def test_trainings_of_other_lengths_count_by_their_share():
    # Half of eight epochs are the first four.
    long = ended(*([[0, 0, 0, 7, 9, 9, 9, 9]] * 4), epochs=8)
    assert is_hopeless([6, 6], 4, long, True)
    assert not is_hopeless([8, 8], 4, long, True)


def test_few_trials_and_those_that_did_not_get_as_far_do_not_count():
    assert not is_hopeless([0, 0], 4, OTHERS[:3], True)
    stopped = ended([9], status="pruned")
    assert not is_hopeless([0, 0], 4, [*OTHERS[:3], *stopped], True)


def test_scores_that_are_not_finite_are_no_scores():
    nan = float("nan")
    assert is_hopeless([nan, nan], 4, OTHERS, True)
    assert is_hopeless([nan, 4.4], 4, OTHERS, True)
    assert not is_hopeless([nan, 4.6], 4, OTHERS, True)
    # Of 5, 3, 4 and 9, with whatever else the others have had.
    noisy = ended([1, 5, nan], [nan, 3, 9], [4, nan, nan, 4], [9, float("inf"), 1, 1])
    assert is_hopeless([4.4, 4.4], 4, noisy, True)
    assert not is_hopeless([4.6, 4.6], 4, noisy, True)


def test_watch_stops_the_training():
    class Model:
        stop_training = False

    watch = Watch("f1", True, lambda: OTHERS)
    watch.set_params({"epochs": 4})
    watch.set_model(Model())
    watch.on_epoch_end(0, {"loss": 1.0, "val_f1": 0.5})
    assert not watch.pruned
    watch.on_epoch_end(1, {"loss": 1.0, "val_f1": 0.4})
    assert watch.pruned
    assert watch.model.stop_training
    assert watch.history == [0.5, 0.4]


def test_the_best_comes_first_and_of_equals_the_first():
    trials = [
        Trial("0", "completed", {"rank": 2}, 3, score=0.5, best_epoch=1),
        Trial("1", "failed", {"rank": 4}, message="no\nluck"),
        Trial("2", "completed", {"rank": 8}, 3, score=0.7, best_epoch=2),
        Trial("3", "pruned", {"rank": 8}, 3, score=0.7, best_epoch=1),
    ]
    assert [one.name for one in ranked(trials, True)] == ["2", "3", "0"]
    assert [one.name for one in ranked(trials, False)] == ["0", "2", "3"]
    table = table_of(trials, ["rank"], "f1", True)
    assert [row[0] for row in table.rows] == ["2", "3", "0", "1"]
    assert table.rows[0][:4] == ("2", "8", "0.7", "2 of 3")
    assert "failed" in table.to_markdown()
