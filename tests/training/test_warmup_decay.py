"""The learning rate over the steps against its formula."""

import keras
import numpy as np
import pytest

from tfft.training.names import SCHEDULES
from tfft.training.warmup_decay import WarmupDecay

PEAK, STEPS = 3e-3, 20


def closed_form(kind, step, warmup):
    if step < warmup:
        return PEAK * (step + 1) / warmup
    done = min((step - warmup) / (STEPS - warmup), 1.0)
    return {
        "cosine": PEAK * (1 + np.cos(np.pi * done)) / 2,
        "linear": PEAK * (1 - done),
        "polynomial": PEAK * (1 - done) ** 3,
        "constant": PEAK,
    }[kind]


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_schedule_follows_its_closed_form(kind, warmup):
    schedule = WarmupDecay(PEAK, STEPS, warmup, kind, power=3)
    steps = range(STEPS + 3)
    expected = [closed_form(kind, step, warmup) for step in steps]
    # 1e-9: float32 cosines times a peak of 3e-3.
    np.testing.assert_allclose(
        [float(schedule(step)) for step in steps], expected, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    ("kind", "end"), [("cosine", 0), ("linear", 0), ("polynomial", 0), ("constant", 1)]
)
def test_schedule_rises_to_its_peak_and_falls_to_its_end(kind, end):
    schedule = WarmupDecay(PEAK, STEPS, 4, kind)
    np.testing.assert_allclose(float(schedule(3)), PEAK, rtol=1e-6)
    np.testing.assert_allclose(float(schedule(STEPS)), end * PEAK, atol=1e-9)


def test_a_training_that_is_all_warm_up_stays_finite():
    schedule = WarmupDecay(PEAK, 4, 4, "cosine")
    rates = [float(schedule(step)) for step in range(5)]
    np.testing.assert_allclose(
        rates, PEAK * np.array([0.25, 0.5, 0.75, 1, 1]), rtol=1e-6
    )


def test_schedule_survives_its_configuration():
    schedule = WarmupDecay(PEAK, STEPS, 5, "polynomial", 3.0)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, WarmupDecay)
    assert again.get_config() == schedule.get_config()
    assert float(again(11)) == float(schedule(11))
