"""Every method through a training, the run folder and back."""

from __future__ import annotations

import numpy as np
import pytest

import tfft
from tests.conformance.table import METHOD_TABLE

QUICK = {"prompt", "sparse"}
TEXTS = ["good a", "bad b", ""]


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in METHOD_TABLE
    ],
)
def test_a_run_of_every_method_is_loaded_and_exported(
    name, bert_folder, make_rows, tmp_path
):
    import tensorflow as tf

    options = dict(METHOD_TABLE[name].options)
    if name == "sparse":
        options |= {"score": "fisher", "fisher_batches": 1}
    run = tfft.finetune(
        model=bert_folder,
        data=make_rows(),
        output_dir=tmp_path / "run",
        method={"name": name, **options},
        epochs=1,
        precision="mixed_bfloat16",
        verbose=0,
    )
    expected = [one["probabilities"] for one in run.predict(TEXTS)]
    loaded = tfft.load(tmp_path / "run")
    found = [one["probabilities"] for one in loaded.predict(TEXTS)]
    assert found == expected
    served = tf.saved_model.load(str(run.export(tmp_path / "served")))
    answers = served.signatures["serving_default"](text=tf.constant(TEXTS))
    plain = [list(one.values()) for one in expected]
    # 1e-5: merged kernels are rounded once.
    np.testing.assert_allclose(answers["probabilities"], plain, 0, 1e-5)
    assert [one["probabilities"] for one in run.predict(TEXTS)] == expected
