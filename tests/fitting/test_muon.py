"""Which variables Muon takes, and which it leaves to Adam."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tfft.fitting.optimize import paths_for_adam
from tfft.methods.method import METHODS
from tfft.models.architecture import architecture_of
from tfft.runs.build import Built
from tfft.training.optimizer import make_optimizer

MUON = {
    "full": {"kernel"},
    "last_layers": {"kernel"},
    "bitfit": set(),
    "lora": {"lora_a", "lora_b"},
    "bottleneck": {"down", "up"},
    "prompt": set(),
    "prefix": set(),
    "ia3": set(),
    "sparse": set(),
    "head": set(),
}


def test_every_method_is_in_the_table_of_muon():
    assert MUON.keys() == set(METHODS.names())


@pytest.mark.parametrize("method", MUON)
def test_muon_is_for_hidden_matrices_alone(method, backbone):
    architecture = architecture_of(backbone)
    adapter = METHODS.resolve(method).apply(backbone, architecture, 0)
    variables = list(backbone.trainable_variables)
    extra = keras.Variable(np.ones((4, 3)), name="kernel")
    built = Built(SimpleNamespace(head_variables=[extra]), adapter, None)
    optimizer = make_optimizer(
        "muon",
        [*variables, extra],
        learning_rate=0.1,
        weight_decay=0.0,
        outputs=paths_for_adam(built),
    )
    # Keras keeps a second moment for what Adam trains, and none for Muon's.
    by_muon = {
        variable.path
        for variable, velocity in zip(
            [*variables, extra], optimizer.adam_velocities, strict=True
        )
        if velocity is None
    }
    matrices = {
        variable.path
        for variable in variables
        if variable.name in MUON[method] and len(variable.shape) == 2
    }
    assert by_muon == matrices
    assert bool(matrices) == bool(MUON[method])


def test_the_biases_of_attention_move_as_with_adam(make_backbone):
    moved = []
    for kind in ("muon", "adamw"):
        backbone = make_backbone()
        adapter = METHODS.resolve("bitfit").apply(
            backbone, architecture_of(backbone), 0
        )
        optimizer = make_optimizer(
            kind, adapter.trained, learning_rate=0.1, weight_decay=0.0
        )
        generator = np.random.default_rng(0)
        for _ in range(3):
            gradients = [generator.normal(size=v.shape) for v in adapter.trained]
            optimizer.apply([g.astype("float32") for g in gradients], adapter.trained)
        moved.append({v.path: np.array(v) for v in adapter.trained})
    biases = [path for path in moved[0] if path.endswith("query/bias")]
    assert biases
    for path, value in moved[0].items():
        # 1e-5: steps of 0.1 in float32, the formula written twice.
        np.testing.assert_allclose(value, moved[1][path], 0, 1e-5, err_msg=path)
