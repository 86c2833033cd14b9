"""Adapter folders as PEFT writes and reads them."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from tfft.checkpoints.adapters import load_adapter_weights, save_adapter
from tfft.checkpoints.peft.folder import CONFIG, WEIGHTS

HIDDEN, INNER, LAYERS = 16, 32, 2

# PyTorch's modules of one layer of BERT, with inputs and outputs.
MODULES = {
    "attention.self.query": (HIDDEN, HIDDEN),
    "attention.self.key": (HIDDEN, HIDDEN),
    "attention.self.value": (HIDDEN, HIDDEN),
    "attention.output.dense": (HIDDEN, HIDDEN),
    "intermediate.dense": (HIDDEN, INNER),
    "output.dense": (INNER, HIDDEN),
}


def modules(*names):
    return [f"encoder.layer.{i}.{name}" for i in range(LAYERS) for name in names]


def values(adapter):
    return [np.array(variable) for variable in adapter.variables]


def test_names_and_shapes_are_pefts_for_a_model_with_a_head(
    make_adapter, backbone, tmp_path, head
):
    save_adapter(make_adapter(backbone), tmp_path, modules_to_save=head)
    expected = {"base_model.model.classifier.weight": (3, HIDDEN)}
    expected["base_model.model.classifier.bias"] = (3,)
    for i in range(LAYERS):
        for name, (inputs, outputs) in MODULES.items():
            module = f"base_model.model.bert.encoder.layer.{i}.{name}"
            expected[f"{module}.lora_A.weight"] = (3, inputs)
            expected[f"{module}.lora_B.weight"] = (outputs, 3)
    tensors = load_file(tmp_path / WEIGHTS)
    assert {name: value.shape for name, value in tensors.items()} == expected
    assert {value.dtype.name for value in tensors.values()} == {"float32"}
    for name, value in head["classifier"].items():
        stored = tensors[f"base_model.model.classifier.{name}"]
        np.testing.assert_array_equal(stored, value)
    with safe_open(tmp_path / WEIGHTS, framework="np") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_bare_encoder_has_names_without_the_model(make_adapter, backbone, tmp_path):
    save_adapter(make_adapter(backbone, target=None), tmp_path)
    assert set(load_file(tmp_path / WEIGHTS)) == {
        f"base_model.model.{module}.lora_{letter}.weight"
        for module in modules("attention.self.query", "attention.self.value")
        for letter in "AB"
    }


def test_config_says_what_peft_needs(make_adapter, backbone, tmp_path, head):
    adapter = make_adapter(
        backbone,
        rank=4,
        alpha=8.0,
        dropout=0.1,
        use_rslora=True,
        target=("output.dense",),
    )
    save_adapter(
        adapter,
        tmp_path,
        base_model="org/model",
        task_type="SEQ_CLS",
        modules_to_save=head,
    )
    assert json.loads((tmp_path / CONFIG).read_text()) == {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS",
        "base_model_name_or_path": "org/model",
        "r": 4,
        "lora_alpha": 8.0,
        "lora_dropout": 0.1,
        "use_rslora": True,
        "use_dora": False,
        "rank_pattern": {},
        "alpha_pattern": {},
        "target_modules": modules("attention.output.dense", "output.dense"),
        "modules_to_save": ["classifier"],
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }


def test_config_of_a_bare_encoder_saves_no_modules(make_adapter, backbone, tmp_path):
    save_adapter(make_adapter(backbone), tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["modules_to_save"] is None
    assert config["task_type"] == "FEATURE_EXTRACTION"


@pytest.mark.parametrize("rslora", [False, True])
def test_pytorchs_merged_weight_is_kerass_merged_kernel(
    make_adapter, bert_folder, tmp_path, rslora
):
    from tfft.models.pretrained import load_pretrained

    backbone = load_pretrained(str(bert_folder)).backbone
    adapter = make_adapter(backbone, use_rslora=rslora)
    save_adapter(adapter, tmp_path)
    base = load_file(bert_folder / "model.safetensors")
    saved = load_file(tmp_path / WEIGHTS)
    scale = 6.0 / np.sqrt(3) if rslora else 2.0
    adapter.merge()
    assert len(adapter.injected) == len(modules(*MODULES))
    for one, module in zip(adapter.injected, modules(*MODULES), strict=True):
        name = f"base_model.model.{module}"
        A = saved[f"{name}.lora_A.weight"].astype("float64")
        B = saved[f"{name}.lora_B.weight"].astype("float64")
        merged = base[f"{module}.weight"] + scale * B @ A
        kernel = np.array(one.layer.layer.kernel)
        # 1e-6: one rounding to float32 of values of order 1.
        np.testing.assert_allclose(
            kernel, merged.T.reshape(kernel.shape), rtol=0, atol=1e-6, err_msg=module
        )


@pytest.mark.parametrize("with_head", [False, True])
def test_loading_gives_back_every_bit(
    make_adapter, make_backbone, tmp_path, head, with_head
):
    first = make_adapter(make_backbone())
    save_adapter(first, tmp_path, modules_to_save=head if with_head else None)
    second = make_adapter(make_backbone())
    for variable in second.variables:
        variable.assign(np.zeros(variable.shape))
    load_adapter_weights(second, tmp_path)
    for ours, theirs in zip(values(second), values(first), strict=True):
        np.testing.assert_array_equal(ours, theirs)
