"""Adapter folders as PEFT writes and reads them."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tfft.adapters.method import METHODS
from tfft.checkpoints.peft import CONFIG, WEIGHTS, can_save, load_adapter, save_adapter
from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.models.architecture import architecture_of

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


def apply(backbone, **options):
    """Applies LoRA with random A and B."""
    options = {"rank": 3, "alpha": 6.0, "target": ("all-linear",), **options}
    method = METHODS.resolve("lora", options)
    adapter = method.apply(backbone, architecture_of(backbone), 0)
    generator = np.random.default_rng(7)
    for variable in adapter.variables:
        variable.assign(generator.normal(0, 0.3, variable.shape))
    return adapter


def values(adapter):
    return [np.array(variable) for variable in adapter.variables]


@pytest.fixture
def head():
    """A classifier of three classes as PyTorch keeps it."""
    generator = np.random.default_rng(1)
    return {
        "classifier": {
            "weight": generator.normal(0, 1, (3, HIDDEN)).astype("float32"),
            "bias": generator.normal(0, 1, 3).astype("float32"),
        }
    }


def test_names_and_shapes_are_pefts_for_a_model_with_a_head(backbone, tmp_path, head):
    save_adapter(apply(backbone), tmp_path, modules_to_save=head)
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


def test_a_bare_encoder_has_names_without_the_model(backbone, tmp_path):
    save_adapter(apply(backbone, target=None), tmp_path)
    assert set(load_file(tmp_path / WEIGHTS)) == {
        f"base_model.model.{module}.lora_{letter}.weight"
        for module in modules("attention.self.query", "attention.self.value")
        for letter in "AB"
    }


def test_config_says_what_peft_needs(backbone, tmp_path, head):
    adapter = apply(
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
        "target_modules": modules("attention.output.dense", "output.dense"),
        "modules_to_save": ["classifier"],
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }


def test_config_of_a_bare_encoder_saves_no_modules(backbone, tmp_path):
    save_adapter(apply(backbone), tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["modules_to_save"] is None
    assert config["task_type"] == "FEATURE_EXTRACTION"


@pytest.mark.parametrize("rslora", [False, True])
def test_pytorchs_merged_weight_is_kerass_merged_kernel(bert_folder, tmp_path, rslora):
    from tfft.models.pretrained import load_pretrained

    backbone = load_pretrained(str(bert_folder)).backbone
    adapter = apply(backbone, use_rslora=rslora)
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
def test_loading_gives_back_every_bit(make_backbone, tmp_path, head, with_head):
    first = apply(make_backbone())
    save_adapter(first, tmp_path, modules_to_save=head if with_head else None)
    second = apply(make_backbone())
    for variable in second.variables:
        variable.assign(np.zeros(variable.shape))
    load_adapter(second, tmp_path)
    for ours, theirs in zip(values(second), values(first), strict=True):
        np.testing.assert_array_equal(ours, theirs)


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
def test_a_folder_of_another_adapter_is_refused_whole(backbone, tmp_path, damage, says):
    adapter = apply(backbone)
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
def test_a_folder_without_one_of_its_files_says_which(backbone, tmp_path, name):
    adapter = apply(backbone)
    save_adapter(adapter, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingInputError, match=name):
        load_adapter(adapter, tmp_path)


def test_a_merged_adapter_is_not_saved(backbone, tmp_path):
    adapter = apply(backbone)
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
