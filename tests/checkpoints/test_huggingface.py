"""Folders written for transformers hold what transformers itself would write.

The oracle is the checkpoint that transformers wrote: read here and written back, it
must hold the same tensors bit for bit. `tools/roundtrip.py` lets transformers load what
is written here.
"""

from __future__ import annotations

import json

import keras_hub
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.goldens import golden
from tfft.checkpoints.huggingface import backbone_tensors, save_huggingface
from tfft.core.errors import ConfigError, OutputInUseError
from tfft.models.architecture import architecture_of
from tfft.models.load_backbone import load_backbone
from tfft.models.pretrained import load_pretrained
from tfft.models.tokenizer_files import read_tokenizer
from tfft.runs.export.huggingface import export_huggingface

CAUSAL = ["gpt2", "llama", "llama-tied", "llama3-rope", "qwen2", "mistral"]
BARE = ["gpt2-config", "bert", "distilbert"]


def write_back(name, folder, **options):
    source, inputs, _ = golden(name)
    loaded = load_backbone(source)
    save_huggingface(
        folder, loaded.backbone, loaded.architecture, config=loaded.config, **options
    )
    return source, inputs, loaded


def assert_same_tensors(found, expected):
    assert found.keys() == expected.keys()
    for name, value in found.items():
        np.testing.assert_array_equal(value, expected[name], name)


@pytest.mark.parametrize(
    ("name", "task_type"),
    [(name, "CAUSAL_LM") for name in CAUSAL]
    + [(name, "FEATURE_EXTRACTION") for name in BARE],
)
def test_a_checkpoint_comes_back_as_it_was(tmp_path, name, task_type):
    source, _, _ = write_back(name, tmp_path / "out", task_type=task_type)
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert_same_tensors(found, load_file(source / "model.safetensors"))
    before = json.loads((source / "config.json").read_text())
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == before


@pytest.mark.parametrize(
    ("name", "task_type", "module"),
    [
        ("bert-classifier", "SEQ_CLS", "classifier"),
        ("bert-tokens", "TOKEN_CLS", "classifier"),
        ("bert-answers", "QUESTION_ANS", "qa_outputs"),
    ],
)
def test_a_head_comes_back_with_it(tmp_path, name, task_type, module):
    source, _, _ = golden(name)
    loaded = load_backbone(source)
    head = {
        module: {
            part: loaded.report.head[f"{module}.{part}"] for part in ("weight", "bias")
        }
    }
    save_huggingface(
        tmp_path / "out",
        loaded.backbone,
        loaded.architecture,
        config=loaded.config,
        task_type=task_type,
        head=head,
    )
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert_same_tensors(found, load_file(source / "model.safetensors"))


def test_roberta_comes_back_with_the_segment_in_its_positions(tmp_path):
    source, inputs, loaded = write_back("roberta", tmp_path / "out")
    found = load_file(tmp_path / "out" / "model.safetensors")
    expected = load_file(source / "model.safetensors")
    assert expected.keys() - found.keys() == {
        "pooler.dense.weight",
        "pooler.dense.bias",
    }
    positions, kinds = (
        f"embeddings.{name}_embeddings.weight" for name in ("position", "token_type")
    )
    assert {
        name for name, value in found.items() if (value != expected[name]).any()
    } == {positions, kinds}
    assert found[positions].shape == expected[positions].shape
    assert found[kinds].shape == expected[kinds].shape
    again = load_backbone(tmp_path / "out").backbone
    np.testing.assert_array_equal(
        again(inputs, training=False), loaded.backbone(inputs, training=False)
    )


@pytest.mark.parametrize("name", [*CAUSAL, *BARE, "roberta"])
def test_a_backbone_without_config_describes_itself(tmp_path, name):
    source, inputs, _ = golden(name)
    first = load_backbone(source)
    folder = export_huggingface(first.backbone, tmp_path / "out")
    again = load_backbone(folder)
    assert type(again.backbone) is type(first.backbone)
    found, expected = (
        np.asarray(one.architecture.sequence(one.backbone(inputs, training=False)))
        for one in (again, first)
    )
    np.testing.assert_array_equal(found, expected)
    written = json.loads((folder / "config.json").read_text())
    other = {
        key: (value, first.config[key])
        for key, value in written.items()
        if first.config.get(key, value) != value
    }
    # A GPT-2 of transformers leaves the default out, a Llama's length is not known.
    assert other.keys() <= {
        "architectures",
        "n_inner",
        "max_position_embeddings",
        "type_vocab_size",
    }


def test_a_model_in_several_files(tmp_path):
    source, inputs, loaded = write_back(
        "gpt2", tmp_path / "out", task_type="CAUSAL_LM", shard_bytes=10_000
    )
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert files[0] == f"model-00001-of-{len(files):05}.safetensors"
    parts = {file: load_file(tmp_path / "out" / file) for file in files}
    whole = load_file(source / "model.safetensors")
    assert_same_tensors(
        {k: v for part in parts.values() for k, v in part.items()}, whole
    )
    assert all(name in parts[file] for name, file in index["weight_map"].items())
    assert index["metadata"]["total_size"] == sum(v.nbytes for v in whole.values())
    again = load_backbone(tmp_path / "out").backbone
    np.testing.assert_array_equal(again(inputs), loaded.backbone(inputs))


def test_labels_and_tokenizer_are_written(tmp_path):
    tokenizer = read_tokenizer(golden("gpt2")[0].parent / "gpt2-tokenizer")
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=330,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=8,
        max_sequence_length=8,
    )
    folder = export_huggingface(backbone, tmp_path / "out", tokenizer)
    config = json.loads((folder / "config.json").read_text())
    assert config["eos_token_id"] == tokenizer.eos_id
    assert read_tokenizer(folder).to_json() == tokenizer.to_json()


def test_a_head_that_no_class_has_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ConfigError) as caught:
        write_back("gpt2", tmp_path / "out", task_type="SEQ_CLS")
    assert caught.value.what == "a SEQ_CLS head of no layers of its own on GPT2Backbone"
    assert caught.value.fix == "export the backbone alone, with head=False"
    with pytest.raises(ConfigError, match="SEQ_CLS head of other on BertBackbone"):
        write_back(
            "bert",
            tmp_path / "out",
            task_type="SEQ_CLS",
            head={"other": {"weight": np.zeros((2, 16))}},
        )
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputInUseError):
        write_back("bert", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_backbone_with_an_adapter_is_refused(tmp_path, backbone):
    import tfft

    tfft.apply(backbone, "lora")
    with pytest.raises(ConfigError, match="already has an adapter"):
        export_huggingface(backbone, tmp_path / "out")


def test_a_quantised_backbone_is_refused(backbone):
    backbone.get_layer("transformer_layer_0")._feedforward_output_dense.quantize("int8")
    with pytest.raises(ConfigError, match="holds int8 values"):
        backbone_tensors(backbone, architecture_of(backbone), {})


def test_a_run_is_exported_merged_and_stays_as_it_was(tmp_path, tiny_run, make_rows):
    texts = [row["text"] for row in make_rows(20, seed=3)]
    before = tiny_run.predict(texts)
    folder = tiny_run.export_huggingface(tmp_path / "out")
    assert tiny_run.predict(texts) == before
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "neg", "1": "pos"}
    loaded = load_pretrained(folder)
    encodings = loaded.tokenizer.encode(texts, None, 64)
    length = max(len(one.token_ids) for one in encodings)
    rows = [one.token_ids + [0] * (length - len(one.token_ids)) for one in encodings]
    ids = np.array(rows)
    batch = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": ids != 0}
    pooled = loaded.architecture.pooled(loaded.backbone(batch, training=False))
    logits = np.asarray(pooled) @ loaded.head["classifier.weight"].T
    logits += loaded.head["classifier.bias"]
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = [list(one["probabilities"].values()) for one in before]
    # Merging rounds each weight once: 6e-8 of sizes up to 1.
    np.testing.assert_allclose(shares, expected, 0, 1e-5)
