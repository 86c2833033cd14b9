"""What is refused when adapter folders are written and read."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tfft.adapters.method import METHODS
from tfft.checkpoints.peft import CONFIG, WEIGHTS, can_save, load_adapter, save_adapter
from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.models.architecture import architecture_of


def values(adapter):
    return [np.array(variable) for variable in adapter.variables]


NAME = "base_model.model.encoder.layer.1.attention.self.key.lora_A.weight"


def change_config(**changes):
    def damage(config, tensors):
        config.update(changes)

    return damage


def lose_a_tensor(config, tensors):
    del tensors[NAME]


def add_a_tensor(config, tensors):
    tensors[NAME.replace("layer.1", "layer.2")] = tensors[NAME]


def cut_a_tensor(config, tensors):
    tensors[NAME] = tensors[NAME][:, :-1].copy()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (change_config(r=4), "r=4"),
        (change_config(lora_alpha=16), "lora_alpha=16"),
        (change_config(use_rslora=True), "use_rslora=True"),
        (lose_a_tensor, "layer.1.attention.self.key.lora_A.weight is missing"),
        (add_a_tensor, "layer.2.attention.self.key.lora_A.weight is not known"),
        (cut_a_tensor, r"has shape \(15, 3\), not \(16, 3\)"),
    ],
)
def test_a_folder_of_another_adapter_is_refused_whole(
    make_adapter, backbone, tmp_path, damage, says
):
    adapter = make_adapter(backbone)
    save_adapter(adapter, tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    tensors = load_file(tmp_path / WEIGHTS)
    damage(config, tensors)
    (tmp_path / CONFIG).write_text(json.dumps(config))
    save_file(tensors, tmp_path / WEIGHTS)
    for variable in adapter.variables:
        variable.assign(np.full(variable.shape, 5.0))
    with pytest.raises(DataError, match=says):
        load_adapter(adapter, tmp_path)
    assert all((value == 5.0).all() for value in values(adapter))


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_folder_without_one_of_its_files_says_which(
    make_adapter, backbone, tmp_path, name
):
    adapter = make_adapter(backbone)
    save_adapter(adapter, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingInputError, match=name):
        load_adapter(adapter, tmp_path)


def test_a_merged_adapter_is_not_saved(make_adapter, backbone, tmp_path):
    adapter = make_adapter(backbone)
    adapter.merge()
    with pytest.raises(ConfigError, match="merged") as caught:
        save_adapter(adapter, tmp_path / "folder")
    assert caught.value.fix == "call unmerge() first"
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("method", ["full", "head", "last_layers"])
def test_methods_without_layers_have_no_peft_format(backbone, tmp_path, method):
    adapter = METHODS.resolve(method).apply(backbone, architecture_of(backbone), 0)
    assert not can_save(adapter)
    with pytest.raises(ConfigError, match="no adapter layers"):
        save_adapter(adapter, tmp_path / "folder")
