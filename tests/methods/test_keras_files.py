"""What Keras' own ways to save do with an adapted backbone."""

from __future__ import annotations

import copy

import keras
import keras_hub
import numpy as np
import pytest

import tfft
from tfft.core.errors import ConfigError

ADDING = ("lora", "ia3", "sparse", "bottleneck", "prefix", "prompt")

WRITING = {
    "save": lambda model, folder: model.save(folder / "model.keras"),
    "to_json": lambda model, folder: model.to_json(),
    "clone": lambda model, folder: keras.models.clone_model(model),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
}


@pytest.fixture
def adapted(backbone):
    """Applies a method and moves its weights."""

    def apply(method):
        applied = tfft.apply(backbone, method)
        for variable in applied.variables:
            variable.assign(np.array(variable) + 0.1)
        return applied

    return apply


@pytest.fixture
def states(make_batch):
    batch = make_batch()
    return lambda model: np.array(
        model({key: batch[key] for key in model.input})["sequence_output"]
    )


@pytest.mark.parametrize("method", ADDING)
def test_an_adapted_backbone_is_not_written_as_a_plain_one(method, adapted, tmp_path):
    applied = adapted(method)
    backbone = applied.adapter.backbone
    on_top = keras.Model(
        backbone.input, keras.layers.Dense(2)(backbone.output["sequence_output"])
    )
    classifier = tfft.TextClassifier(backbone, num_classes=3)
    for model in (backbone, classifier, on_top):
        for write in WRITING.values():
            with pytest.raises(ConfigError, match="has an adapter") as caught:
                write(model, tmp_path)
            assert "adapter.save(folder)" in caught.value.fix
            assert ("merge()" in caught.value.fix) == applied.adapter.method.mergeable
    with pytest.raises(ConfigError, match="has an adapter"):
        backbone.save_to_preset(str(tmp_path / "preset"))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if path.stat().st_size]


@pytest.mark.parametrize("method", ["lora", "prefix"])
def test_after_unload_keras_writes_it_again(method, adapted, states, tmp_path):
    applied = adapted(method)
    if applied.adapter.method.mergeable:
        applied.merge()
    backbone = applied.unload()
    assert "get_config" not in vars(backbone)
    backbone.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(states(loaded), states(backbone))
    backbone.save_to_preset(str(tmp_path / "preset"))
    loaded = keras_hub.models.Backbone.from_preset(str(tmp_path / "preset"))
    np.testing.assert_array_equal(states(loaded), states(backbone))


def test_the_guard_stays_as_long_as_one_adapter_does(adapted, backbone, tmp_path):
    applied = adapted("lora")
    applied.add("other", "prefix")
    applied.activate("default")
    applied.delete("other")
    with pytest.raises(ConfigError, match="has an adapter"):
        backbone.save(tmp_path / "model.keras")
    applied.unload()
    backbone.save(tmp_path / "model.keras")


@pytest.mark.parametrize("method", ADDING)
def test_weights_go_back_into_the_same_adapter_and_into_no_other_backbone(
    method, adapted, make_backbone, states, tmp_path
):
    backbone = adapted(method).adapter.backbone
    file = tmp_path / "model.weights.h5"
    backbone.save_weights(file)
    same = make_backbone()
    tfft.apply(same, method)
    same.load_weights(file)
    np.testing.assert_array_equal(states(same), states(backbone))
    with pytest.raises(ValueError, match="could not be loaded"):
        make_backbone().load_weights(file)


@pytest.mark.parametrize("method", ["full", "bitfit", "last_layers", "head"])
def test_methods_without_layers_of_their_own_leave_keras_files_be(
    method, backbone, states, tmp_path
):
    tfft.apply(backbone, method)
    backbone.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(states(loaded), states(backbone))
