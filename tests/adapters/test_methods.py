"""What every registered method must keep to; a new one needs an entry in CONTRACT."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from tfft.adapters.method import METHODS
from tfft.core.errors import ConfigError
from tfft.models.architecture import architecture_of


@dataclass
class Entry:
    """Options of a method, and which variables of the backbone it may change."""

    changes: tuple  # beginnings of variable paths, or tails such as /lora_a
    options: dict = field(default_factory=dict)

    def expects(self, path):
        return path.startswith(self.changes) or path.endswith(self.changes)


CONTRACT = {
    "full": Entry(changes=("",)),
    "head": Entry(changes=()),
    "last_layers": Entry(
        changes=("transformer_layer_1/", "pooled_dense/"), options={"count": 1}
    ),
    "lora": Entry(
        changes=("/lora_a", "/lora_b"), options={"rank": 2, "target": ("all-linear",)}
    ),
}

every_method = pytest.mark.parametrize("name", METHODS.names())


def resolve(name):
    return METHODS.resolve(name, CONTRACT[name].options)


def apply(method, backbone):
    return method.apply(backbone, architecture_of(backbone), seed=0)


def paths(variables):
    return [variable.path for variable in variables]


def inputs_of(batch):
    return {k: batch[k] for k in ("token_ids", "segment_ids", "padding_mask")}


def test_every_registered_method_is_under_contract():
    assert sorted(CONTRACT) == METHODS.names()


@every_method
def test_a_step_changes_what_the_method_trains_and_nothing_else(
    name, make_training, make_batch, snapshot
):
    adapter, model = make_training(resolve(name))
    before = snapshot(model.weights)
    # Two steps: as long as LoRA's B is zero, A has no gradient.
    for seed in (0, 1):
        model.train_step(make_batch(seed=seed))
    after = snapshot(model.weights)
    changed = {p for p in before if not np.array_equal(before[p], after[p])}
    own = set(paths(adapter.variables))
    expected = {p for p in before if CONTRACT[name].expects(p) or p in own}
    expected |= {"classifier/kernel", "classifier/bias"}
    # A key's bias moves all scores of a query alike, which softmax takes out again:
    # its gradient is zero but for rounding.
    no_gradient = {p for p in expected if p.endswith("/key/bias")}
    assert changed - no_gradient == expected - no_gradient
    assert {v.path for v in model.trainable_variables} == expected


@every_method
def test_training_starts_from_the_function_of_the_plain_backbone(
    name, backbone, make_batch
):
    inputs = inputs_of(make_batch())
    before = {key: np.array(value) for key, value in backbone(inputs).items()}
    apply(resolve(name), backbone)
    after = backbone(inputs)
    assert set(before) == {"sequence_output", "pooled_output"}
    for key, value in before.items():
        np.testing.assert_array_equal(np.array(after[key]), value, err_msg=key)


@every_method
def test_adapter_knows_its_variables_and_the_base_variables_that_change(name, backbone):
    adapter = apply(resolve(name), backbone)
    own = paths(adapter.variables)
    changed = paths(adapter.changed_base_variables)
    assert sorted(own + changed) == sorted(paths(backbone.trainable_variables))
    assert not set(own) & set(changed)
    assert all(CONTRACT[name].expects(path) for path in own + changed)
    assert adapter.backbone is backbone


@every_method
def test_names_values_and_order_of_the_base_variables_stay(name, backbone, snapshot):
    before, values = paths(backbone.weights), snapshot(backbone.weights)
    adapter = apply(resolve(name), backbone)
    own = set(paths(adapter.variables))
    assert [path for path in paths(backbone.weights) if path not in own] == before
    after = snapshot(backbone.weights)
    for path in before:
        np.testing.assert_array_equal(after[path], values[path], err_msg=path)


@every_method
def test_same_seed_gives_the_same_start(name, make_backbone, snapshot):
    first, second = (make_backbone() for _ in range(2))
    one, two = (
        snapshot(apply(resolve(name), b).backbone.weights) for b in (first, second)
    )
    assert list(one) == list(two)
    for path, value in one.items():
        np.testing.assert_array_equal(two[path], value, err_msg=path)


@every_method
def test_an_adapted_backbone_is_refused_and_left_as_it_is(name, backbone):
    first = apply(METHODS.resolve("lora", {"target": ("value",)}), backbone)
    trainable = paths(backbone.trainable_variables)
    assert trainable == paths(first.variables)
    with pytest.raises(ConfigError, match="has an adapter already") as caught:
        apply(resolve(name), backbone)
    assert "transformer_layer_" in caught.value.what
    assert caught.value.fix
    assert paths(backbone.trainable_variables) == trainable
    assert len(paths(backbone.weights)) == len(set(paths(backbone.weights)))


@every_method
def test_applying_after_a_method_without_layers_starts_over(name, backbone):
    apply(METHODS.resolve("head"), backbone)
    adapter = apply(resolve(name), backbone)
    expected = [
        path for path in paths(backbone.weights) if CONTRACT[name].expects(path)
    ]
    assert paths(backbone.trainable_variables) == expected
    assert bool(adapter.injected) == bool(adapter.variables)


@every_method
def test_merging_keeps_the_outputs_and_unmerging_every_bit(
    name, make_training, make_batch, snapshot
):
    adapter, model = make_training(resolve(name))
    batch = make_batch()
    for seed in (0, 1):
        model.train_step(make_batch(seed=seed))
    outputs, weights = np.array(model(batch)), snapshot(model.weights)
    adapter.merge()
    # 1e-5: twelve kernels rounded once each, through two layers.
    np.testing.assert_allclose(np.array(model(batch)), outputs, rtol=0, atol=1e-5)
    with pytest.raises(ConfigError, match="merged already"):
        adapter.merge()
    adapter.unmerge()
    with pytest.raises(ConfigError, match="not merged"):
        adapter.unmerge()
    for path, value in snapshot(model.weights).items():
        np.testing.assert_array_equal(value, weights[path], err_msg=path)


@pytest.mark.parametrize(
    ("count", "layers"),
    [
        (1, ("transformer_layer_1/",)),
        (2, ("transformer_layer_0/", "transformer_layer_1/")),
    ],
)
def test_last_layers_trains_as_many_layers_as_asked(count, layers, backbone):
    adapter = apply(METHODS.resolve("last_layers", {"count": count}), backbone)
    expected = [
        p for p in paths(backbone.weights) if p.startswith((*layers, "pooled_"))
    ]
    assert paths(adapter.changed_base_variables) == expected
    assert len(expected) == 16 * count + 2


def test_last_layers_refuses_counts_the_model_does_not_have(backbone):
    with pytest.raises(ConfigError, match="count=0"):
        METHODS.resolve("last_layers", {"count": 0})
    with pytest.raises(ConfigError, match="count=3") as caught:
        apply(METHODS.resolve("last_layers", {"count": 3}), backbone)
    assert caught.value.expected == "at most the model's 2 layers"
    assert len(backbone.trainable_variables) == len(backbone.weights)
