"""What is refused when adapter folders are written and read."""

import json
import pickle
import shutil
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tfft
from tests.goldens import ROOT
from tfft.checkpoints.adapters import load_adapter_weights, save_adapter
from tfft.checkpoints.peft.folder import CONFIG, WEIGHTS
from tfft.checkpoints.peft.save import can_save
from tfft.compute.layers import spots
from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.methods.method import METHODS
from tfft.models.architecture import architecture_of
from tfft.models.pretrained import load_backbone

GOLDEN = ROOT / "peft-bert-seq-cls"
PREFIX = "base_model.model.bert.encoder.layer"
NAME = f"{PREFIX}.1.attention.self.value.lora_A.weight"


def values(adapter):
    return [np.array(variable) for variable in adapter.variables]


def config(**changes):
    def damage(folder):
        content = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps({**content, **changes}))

    return damage


def tensors(change):
    def damage(folder):
        content = load_file(folder / WEIGHTS)
        change(content)
        save_file(content, folder / WEIGHTS)

    return damage


def truncated(folder):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def lying_header(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[:8] = (2**40).to_bytes(8, "little")
    (folder / WEIGHTS).write_bytes(bytes(content))


def outside(folder):
    secret = folder.parent / "secret.safetensors"
    shutil.move(folder / WEIGHTS, secret)
    (folder / WEIGHTS).symlink_to(secret)


class Boom:
    def __reduce__(self):
        return (open, ("was-unpickled", "w"))


def pickled(folder):
    (folder / WEIGHTS).unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Boom()))


def pickle_in_disguise(folder):
    (folder / WEIGHTS).write_bytes(pickle.dumps(Boom()))


def not_finite(content):
    content[NAME] = np.full_like(content[NAME], np.nan)


MALFORMED = {
    "truncated": (truncated, "not a complete safetensors file"),
    "lying header": (lying_header, "not a complete safetensors file.*header"),
    "wrong shape": (
        tensors(lambda t: t.update({NAME: t[NAME][:, :-1].copy()})),
        r"1.attention.self.value.lora_A.weight has shape \(3, 7\), not \(3, 8\)",
    ),
    "missing tensor": (
        tensors(lambda t: t.pop(NAME)),
        "1.attention.self.value.lora_A.weight is missing",
    ),
    "missing module": (
        tensors(lambda t: [t.pop(n) for n in list(t) if ".1.attention" in n]),
        "layer.1.attention.self.query.lora_A.weight is missing",
    ),
    "extra tensor": (
        tensors(lambda t: t.update({NAME.replace("er.1", "er.9"): t[NAME]})),
        "layer.9.attention.self.value.lora_A.weight is not known",
    ),
    "extra head": (
        tensors(lambda t: t.update({"base_model.model.odd.weight": t[NAME]})),
        "odd.weight is not known",
    ),
    "extra module": (
        tensors(
            lambda t: t.update(
                {
                    n.replace("value", "key"): v
                    for n, v in t.items()
                    if "1.attention.self.value" in n
                }
            )
        ),
        "layer.1.attention.self.key is not known",
    ),
    "unknown type": (config(peft_type="LOHA"), "peft_type='LOHA'.*IA3, LORA"),
    "no type": (config(peft_type=["LORA"]), "peft_type="),
    "target of nothing": (
        [
            config(target_modules=["q_proj"]),
            tensors(lambda t: [t.pop(n) for n in list(t) if "lora" in n]),
        ],
        "'q_proj'.* matches no layer",
    ),
    "regex of other layers": (
        config(target_modules="q_.*"),
        "query is not known to the config's target_modules",
    ),
    "rank mismatch": (config(r=4), "lora_A.weight has rank 3, not r=4"),
    "outside": (outside, "adapter_model.safetensors leads to"),
    "pickle": (pickled, "adapter_model.bin is a pickle, which tfft never opens"),
    "disguised pickle": (pickle_in_disguise, "not a complete safetensors file"),
    "not finite": (tensors(not_finite), "values that are not finite"),
    "huge rank": (config(r=2**31), "r=2147483648"),
    "huge rank pattern": (
        config(rank_pattern={"query": 2**31}),
        r"rank_pattern\['query'\]=2147483648",
    ),
    "rank no number": (config(r="8"), "r='8'"),
    "slow regex": (
        config(target_modules=r"(.|.|\w)*\d{5}"),
        "target_modules: pattern .* takes too long to match",
    ),
    "slower regex": (
        config(rank_pattern={r"((.|\w)*)*(?=x)y": 3}),
        "rank_pattern: pattern .* takes too long to match",
    ),
    "broken regex": (
        config(target_modules="(("),
        "target_modules: pattern '..' is inv",
    ),
    "long regex": (config(target_modules="a" * 9999), "takes too long to match"),
    "no list": (config(target_modules=5), "target_modules=5"),
    "lora_bias": (
        [
            config(lora_bias=True),
            tensors(lambda t: t.update({NAME.replace("A.w", "B.b"): t[NAME][0]})),
        ],
        "lora_bias=True is not implemented.*PEFT and load the merged model",
    ),
    "replicated layers": (
        [
            config(layer_replication=[[0, 2], [1, 2]]),
            tensors(lambda t: t.update({NAME.replace("er.1", "er.2"): t[NAME]})),
        ],
        r"layer_replication=\[\[0, 2\], \[1, 2\]\] is not implemented.*keep using",
    ),
    "target_parameters": (
        config(target_modules=[], target_parameters=["query.weight"]),
        "target_parameters=.* is not implemented.*PEFT and load the merged model",
    ),
    "activated by tokens": (
        config(alora_invocation_tokens=[5]),
        "alora_invocation_tokens=.* is not implemented.*keep using",
    ),
    "tokens": (
        config(trainable_token_indices=[1, 2]),
        "trainable_token_indices=.* is not implemented",
    ),
    "bias": (config(bias="some"), "bias='some'"),
    "flag": (config(use_dora="yes"), "use_dora='yes'"),
    "not json": (
        lambda folder: (folder / CONFIG).write_text("[" * 100_000),
        "adapter_config.json is not usable",
    ),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_folder_has_an_error_of_its_own_and_changes_nothing(
    kind, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(GOLDEN, tmp_path / "adapter")
    damage, says = MALFORMED[kind]
    for step in damage if isinstance(damage, list) else [damage]:
        step(folder)
    backbone = load_backbone(folder / "base").backbone
    before = {v.path: np.array(v) for v in backbone.weights}
    started = time.monotonic()
    with pytest.raises((DataError, MissingInputError), match=says) as caught:
        tfft.load_adapter(backbone, folder)
    assert time.monotonic() - started < 1
    assert str(folder) in caught.value.where
    assert {v.path for v in backbone.weights} == before.keys()
    for variable in backbone.weights:
        np.testing.assert_array_equal(np.array(variable), before[variable.path])
    assert not any(hasattr(s.layer, "adapter_variables") for s in spots(backbone))
    assert not (tmp_path / "was-unpickled").exists()


def test_unknown_fields_and_fields_at_their_default_are_no_matter(tmp_path):
    folder = shutil.copytree(GOLDEN, tmp_path / "adapter")
    config(a_field_of_peft_9={"x": 1}, lora_bias=False, layer_replication=None)(folder)
    adapter = tfft.load_adapter(load_backbone(folder / "base").backbone, folder)
    assert len(adapter.variables) == 8


def change(**changes):
    return lambda content, _: content.update(changes)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (change(r=4), "rank 3, not r=4"),
        (change(lora_alpha=16), "lora_alpha=16.0 in the folder"),
        (change(use_rslora=True), "use_rslora=True in the folder"),
        (change(target_modules=["query"]), "attention.self.key is not known"),
        (lambda _, t: t.pop(BARE), "1.attention.self.key.lora_A.weight is missing"),
        (lambda _, t: t.update({BARE: t[BARE][:, 1:].copy()}), r"shape \(3, 15\)"),
    ],
)
def test_a_folder_of_another_adapter_is_refused_whole(
    make_adapter, backbone, tmp_path, damage, says
):
    adapter = make_adapter(backbone)
    save_adapter(adapter, tmp_path)
    content = json.loads((tmp_path / CONFIG).read_text())
    weights = load_file(tmp_path / WEIGHTS)
    damage(content, weights)
    (tmp_path / CONFIG).write_text(json.dumps(content))
    save_file(weights, tmp_path / WEIGHTS)
    for variable in adapter.variables:
        variable.assign(np.full(variable.shape, 5.0))
    with pytest.raises(DataError, match=says):
        load_adapter_weights(adapter, tmp_path)
    assert all((value == 5.0).all() for value in values(adapter))


BARE = "base_model.model.encoder.layer.1.attention.self.key.lora_A.weight"


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_folder_without_one_of_its_files_says_which(
    make_adapter, backbone, tmp_path, name
):
    adapter = make_adapter(backbone)
    save_adapter(adapter, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(MissingInputError, match=name):
        load_adapter_weights(adapter, tmp_path)


def test_a_merged_adapter_is_not_saved(make_adapter, backbone, tmp_path):
    adapter = make_adapter(backbone)
    adapter.merge()
    with pytest.raises(ConfigError, match="merged") as caught:
        save_adapter(adapter, tmp_path / "folder")
    assert caught.value.fix == "call unmerge() first"
    assert not (tmp_path / "folder").exists()


def test_a_part_of_c_attn_with_dora_has_no_pefts_form(tmp_path):
    backbone = load_backbone(ROOT / "peft-gpt2-dora" / "base").backbone
    adapter = tfft.apply(backbone, tfft.LoRA(target="query,value", use_dora=True))
    with pytest.raises(ConfigError, match="DoRA on a part of") as caught:
        adapter.save(tmp_path)
    assert "c_attn" in caught.value.fix


@pytest.mark.parametrize("method", ["full", "head", "bottleneck"])
def test_other_methods_have_no_peft_format(backbone, method):
    adapter = METHODS.resolve(method).apply(backbone, architecture_of(backbone), 0)
    assert not can_save(adapter)


def test_an_embedding_trained_apart_from_its_tied_head_is_refused(tmp_path):
    folder = shutil.copytree(ROOT / "peft-llama-tied", tmp_path / "adapter")
    tensors(lambda t: t.pop("base_model.model.lm_head.weight"))(folder)
    backbone = load_backbone(folder / "base").backbone
    with pytest.raises(DataError, match="embed_tokens and lm_head were trained sep"):
        tfft.load_adapter(backbone, folder)
    # A classifier has no head that could be tied to the embedding.
    config(task_type="SEQ_CLS")(folder)
    tfft.load_adapter(backbone, folder)


def test_an_adapter_outside_the_layers_is_refused_with_what_helps(tmp_path):
    folder = shutil.copytree(GOLDEN, tmp_path / "adapter")
    pooler = "base_model.model.bert.pooler.dense.lora_A.weight"
    tensors(lambda t: t.update({pooler: t[NAME]}))(folder)
    backbone = load_backbone(GOLDEN / "base").backbone
    with pytest.raises(DataError, match=r"adapters on pooler\.dense") as caught:
        tfft.load_adapter(backbone, folder)
    assert "merge_and_unload" in caught.value.fix


def test_a_pattern_for_each_module_is_read_in_time(tmp_path):
    folder = shutil.copytree(GOLDEN, tmp_path / "adapter")
    names = [f"bert.encoder.layer.{i}.attention.self.query" for i in range(2000)]
    config(alpha_pattern=dict.fromkeys(names, 5))(folder)
    adapter = tfft.load_adapter(load_backbone(folder / "base").backbone, folder)
    scales = {one.place.name: one.layer.scale for one in adapter.adapter.injected}
    assert scales["layers.1.attention.query"] == 5 / 3
