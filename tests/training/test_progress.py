"""Progress: lines in a log file, a bar on a terminal."""

import io
import itertools
from types import SimpleNamespace

import pytest
from rich.console import Console

from tfft.training.progress_display import ShowProgress, bar


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def show():
    """Makes a progress callback, its output and its clock."""

    def make(terminal, steps=8, epochs=2, tokens=800):
        output, clock = io.StringIO(), Clock()
        console = Console(file=output, force_terminal=terminal, width=120)
        return ShowProgress(console, epochs, steps, tokens, clock), output, clock

    return make


def train(progress, clock, epochs, steps, seconds, stop_after=None):
    """Goes through the calls that `fit` makes; each step takes `seconds`."""
    progress.on_train_begin()
    for epoch in range(stop_after or epochs):
        progress.on_epoch_begin(epoch)
        for step in range(steps):
            clock.now += seconds
            progress.on_train_batch_end(step, {"loss": 1.0 / (step + 1)})
        progress.on_epoch_end(epoch, {"loss": 0.125, "val_loss": 1.0 / (epoch + 1)})
    progress.on_train_end()


def test_without_a_terminal_a_short_epoch_is_one_line(show):
    progress, output, clock = show(terminal=False)
    train(progress, clock, epochs=2, steps=8, seconds=0.5)
    assert output.getvalue().splitlines() == [
        "epoch 1/2 · 4 s · loss 0.1250 · val_loss 1.0000",
        "epoch 2/2 · 4 s · loss 0.1250 · val_loss 0.5000",
    ]


def test_a_long_epoch_shows_that_it_is_under_way(show):
    # A step takes half a minute, and has 100 tokens. The lines are 1, 2, 4 … minutes
    # apart: after 2, 6, 14 and 30 steps.
    progress, output, clock = show(terminal=False, steps=40, tokens=4000, epochs=1)
    train(progress, clock, epochs=1, steps=40, seconds=30)
    assert output.getvalue().splitlines() == [
        "epoch 1/1 · step 2/40 · loss 0.5000 · 3 tokens/s · 1140 s left in this epoch",
        "epoch 1/1 · step 6/40 · loss 0.1667 · 3 tokens/s · 1020 s left in this epoch",
        "epoch 1/1 · step 14/40 · loss 0.0714 · 3 tokens/s · 780 s left in this epoch",
        "epoch 1/1 · step 30/40 · loss 0.0333 · 3 tokens/s · 300 s left in this epoch",
        "epoch 1/1 · 1200 s · loss 0.1250 · val_loss 1.0000",
    ]


@pytest.mark.parametrize("seconds", [0.1, 30, 3600])
@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 9, 10, 11, 15, 99, 100, 1000])
def test_a_training_prints_ten_lines_at_most_and_its_last_epoch(show, epochs, seconds):
    progress, output, clock = show(terminal=False, epochs=epochs, steps=7)
    train(progress, clock, epochs, 7, seconds)
    lines = output.getvalue().splitlines()
    ends = [line for line in lines if "val_loss" in line]
    assert len(lines) <= 10
    assert len(ends) == (epochs if epochs <= 10 else 9)
    assert ends[-1].startswith(f"epoch {epochs}/{epochs} ·")
    if seconds == 0.1:
        assert lines == ends or epochs == 1000  # which take more than a minute
    if epochs > 10:
        shown = [0, *(int(line.split()[1].partition("/")[0]) for line in ends)]
        gaps = {after - before for before, after in itertools.pairwise(shown)}
        assert max(gaps) - min(gaps) <= 1  # evenly spread


@pytest.mark.parametrize("stop_after", range(1, 16))
def test_the_epoch_that_early_stopping_ends_at_is_shown_once(show, stop_after):
    progress, output, clock = show(terminal=False, epochs=15, steps=7)
    train(progress, clock, 15, 7, 30, stop_after)
    lines = output.getvalue().splitlines()
    assert len(lines) <= 10
    ends = [line for line in lines if "val_loss" in line]
    assert sum(f"epoch {stop_after}/15" in line for line in ends) == 1
    assert lines[-1] == ends[-1]


def test_on_a_terminal_every_epoch_leaves_its_line(show):
    progress, output, clock = show(terminal=True, epochs=15, steps=7)
    train(progress, clock, 15, 7, 30)
    assert output.getvalue().count("val_loss") == 15


def test_a_clock_that_stands_still_divides_by_no_zero(show):
    progress, output, _ = show(terminal=True, steps=1, tokens=1)
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0, {"loss": 1.0})
    progress.close()
    assert "loss 1.0000 · 1,000,000,000 tokens/s" in output.getvalue()


def test_names_of_metrics_are_no_markup(show):
    progress, output, _ = show(terminal=False)
    progress.on_epoch_begin(0)
    progress.on_epoch_end(0, {"f1 [red]": 1.0})
    assert output.getvalue() == "epoch 1/2 · 0 s · f1 [red] 1.0000\n"


def test_on_a_terminal_a_bar_moves_and_ends(show):
    progress, output, clock = show(terminal=True)
    progress.on_epoch_begin(0)
    for step in range(8):
        clock.now += 0.5
        progress.on_train_batch_end(step, {"loss": 0.5})
    assert progress._progress is not None
    progress.on_epoch_end(0, {"loss": 0.5})
    assert progress._progress is None
    text = output.getvalue()
    assert "epoch 1/2" in text
    assert "8/8" in text
    assert "loss 0.5000 · 200 tokens/s" in text
    assert "step 2/8" not in text
    assert text.endswith("epoch 1/2 · 4 s · loss 0.5000\n")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # cursor is back


def test_closing_ends_a_bar_that_was_cut_short_and_may_be_repeated(show):
    progress, output, _ = show(terminal=True)
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0, {"loss": 0.5})
    progress.close()
    progress.close()
    assert output.getvalue().count("\x1b[?25h") == 1


def test_a_bar_shows_count_and_text():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    with bar(console) as progress:
        task = progress.add_task("reading", total=4, text="slowly")
        progress.update(task, completed=3)
    assert "reading" in output.getvalue()
    assert "3/4" in output.getvalue()
    assert "slowly" in output.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_steps_done_before_an_interruption_count_as_done_and_not_as_fast(
    show, terminal
):
    progress, output, clock = show(terminal=terminal)
    model = SimpleNamespace(fast_forwarding=True)
    progress.set_model(model)
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    for step in range(8):
        model.fast_forwarding = step < 4
        clock.now += 0.001 if model.fast_forwarding else 50
        progress.on_train_batch_end(step, {"loss": 1.0})
    progress.close()
    text = output.getvalue()
    # 100 tokens a step in 50 seconds, also for the first step after the skipped.
    assert "loss 1.0000 · 2 tokens/s" in text
    if terminal:
        assert "8/8" in text
    else:
        assert text.splitlines() == [
            "epoch 1/2 · step 6/8 · loss 1.0000 · 2 tokens/s · 100 s left in this epoch"
        ]
