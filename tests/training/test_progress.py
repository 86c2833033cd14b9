"""Progress: lines in a log file, a bar on a terminal."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from tfft.training.progress import ShowProgress, bar


class Clock:
    """A clock that stands still until it is told."""

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


def test_without_a_terminal_there_are_four_lines_an_epoch_and_its_metrics(show):
    progress, output, clock = show(terminal=False)
    progress.on_epoch_begin(0)
    for step in range(8):
        clock.now += 0.5
        progress.on_train_batch_end(step, {"loss": 1.0 / (step + 1)})
    progress.on_epoch_end(
        0, {"loss": 0.125, "gradient_norm": 3.0, "val_accuracy": 0.75}
    )
    # 100 tokens a step in half a second are 200 tokens a second.
    assert output.getvalue().splitlines() == [
        "  step 2/8 · loss 0.5000 · 200 tokens/s · 3 s left",
        "  step 4/8 · loss 0.2500 · 200 tokens/s · 2 s left",
        "  step 6/8 · loss 0.1667 · 200 tokens/s · 1 s left",
        "  step 8/8 · loss 0.1250 · 200 tokens/s · 0 s left",
        "epoch 1/2 · 4 s · loss 0.1250 · val_accuracy 0.7500",
    ]


def test_a_short_epoch_shows_every_step(show):
    progress, output, clock = show(terminal=False, steps=2, tokens=1_000_000)
    progress.on_epoch_begin(1)
    for step in range(2):
        clock.now += 1
        progress.on_train_batch_end(step, {"loss": 2.0})
    progress.on_epoch_end(1, {"loss": 2.0})
    assert output.getvalue().splitlines() == [
        "  step 1/2 · loss 2.0000 · 500,000 tokens/s · 1 s left",
        "  step 2/2 · loss 2.0000 · 500,000 tokens/s · 0 s left",
        "epoch 2/2 · 2 s · loss 2.0000",
    ]


def test_a_clock_that_stands_still_divides_by_no_zero(show):
    progress, output, _ = show(terminal=False, steps=1, tokens=1)
    progress.on_epoch_begin(0)
    progress.on_train_batch_end(0, {"loss": 1.0})
    assert "step 1/1 · loss 1.0000 · 1,000,000,000 tokens/s" in output.getvalue()


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
    progress.on_epoch_begin(0)
    for step in range(8):
        model.fast_forwarding = step < 4
        clock.now += 0.001 if model.fast_forwarding else 0.5
        progress.on_train_batch_end(step, {"loss": 1.0})
    progress.close()
    text = output.getvalue()
    # 100 tokens a step in half a second, also for the first step after the skipped.
    assert "loss 1.0000 · 200 tokens/s" in text
    if terminal:
        assert "8/8" in text
    else:
        assert text.splitlines() == [
            "  step 6/8 · loss 1.0000 · 200 tokens/s · 1 s left",
            "  step 8/8 · loss 1.0000 · 200 tokens/s · 0 s left",
        ]
