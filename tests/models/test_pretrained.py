"""Models from folders; what does not fit exactly is noted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.fixtures.bert import (
    VOCABULARY,
    bert_config,
    bert_tensors,
    random_batch,
    write_bert,
)
from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.core.files import sha256
from tfft.models.pretrained import load_pretrained


def pooled(backbone):
    return backbone(random_batch(), training=False)["pooled_output"].numpy()


@pytest.fixture(scope="module")
def reference(bert_folder):
    return load_pretrained(bert_folder)


def test_a_whole_folder_has_nothing_to_note(bert_folder, reference):
    assert reference.notes == ()
    assert reference.fresh == ()
    assert reference.fresh_variables == []
    assert reference.source == str(bert_folder)
    assert reference.fingerprint == sha256(bert_folder / "model.safetensors")


def old_names(name):
    for new, old in ((".weight", ".gamma"), (".bias", ".beta")):
        if "LayerNorm" in name:
            name = name.replace(new, old)
    return name


@pytest.mark.parametrize(
    "rename", [lambda name: f"bert.{name}", old_names, lambda n: "bert." + old_names(n)]
)
def test_other_names_for_the_same_tensors(tmp_path, reference, rename):
    tensors = {rename(name): value for name, value in bert_tensors().items()}
    loaded = load_pretrained(write_bert(tmp_path / "model", tensors=tensors))
    assert loaded.notes == ()
    np.testing.assert_array_equal(pooled(loaded.backbone), pooled(reference.backbone))


def test_tensors_of_a_head_are_named(tmp_path, reference):
    tensors = bert_tensors() | {
        "classifier.weight": np.zeros((2, 16), "float32"),
        "classifier.bias": np.zeros(2, "float32"),
        "embeddings.position_ids": np.arange(64)[None],
    }
    loaded = load_pretrained(write_bert(tmp_path / "model", tensors=tensors))
    assert loaded.notes == (
        "the checkpoint has a head: classifier.bias, classifier.weight",
    )
    assert loaded.head["classifier.weight"].shape == (2, 16)
    np.testing.assert_array_equal(pooled(loaded.backbone), pooled(reference.backbone))


def test_a_masked_language_model_lacks_the_pooler(tmp_path):
    tensors = {
        f"bert.{name}": value
        for name, value in bert_tensors().items()
        if not name.startswith("pooler")
    }
    tensors["cls.predictions.bias"] = np.zeros(len(VOCABULARY), "float32")
    loaded = load_pretrained(write_bert(tmp_path / "model", tensors=tensors))
    assert loaded.notes == (
        "ignored in the checkpoint: cls.predictions.bias",
        "not in the checkpoint, random at the start: pooler",
    )
    assert loaded.fresh == ("pooler",)
    assert sorted(variable.path for variable in loaded.fresh_variables) == [
        "pooled_dense/bias",
        "pooled_dense/kernel",
    ]
    assert np.abs(loaded.fresh_variables[0].numpy()).max() > 0


def test_half_a_pooler_is_not_taken(tmp_path):
    tensors = bert_tensors()
    del tensors["pooler.dense.bias"]
    with pytest.raises(DataError, match=r"pooler\.dense\.bias is missing"):
        load_pretrained(write_bert(tmp_path / "model", tensors=tensors))


def test_weights_in_several_files(tmp_path, reference):
    folder, tensors = write_bert(tmp_path / "model"), bert_tensors()
    (folder / "model.safetensors").unlink()
    weight_map = {name: f"part-{i % 2}.safetensors" for i, name in enumerate(tensors)}
    for file in set(weight_map.values()):
        part = {name: t for name, t in tensors.items() if weight_map[name] == file}
        save_file(part, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    loaded = load_pretrained(folder)
    np.testing.assert_array_equal(pooled(loaded.backbone), pooled(reference.backbone))
    expected = [sha256(folder / f"part-{i}.safetensors") for i in range(2)]
    assert loaded.fingerprint == "+".join(expected)


@pytest.mark.parametrize(("dtype", "step"), [("float16", 2**-11), ("bfloat16", 2**-8)])
def test_half_precision_weights_are_widened(tmp_path, dtype, step):
    import ml_dtypes

    kind = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[dtype]
    tensors = {name: value.astype(kind) for name, value in bert_tensors().items()}
    loaded = load_pretrained(write_bert(tmp_path / "model", tensors=tensors))
    found = loaded.backbone.token_embedding.embeddings.numpy()
    name = "embeddings.word_embeddings.weight"
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, tensors[name].astype("float32"))
    # Rounding to half precision moves a value by half a unit of its last place.
    np.testing.assert_allclose(found, bert_tensors()[name], step, 1e-7)


def test_a_file_is_no_model(bert_folder):
    with pytest.raises(ConfigError, match="is a file") as caught:
        load_pretrained(bert_folder / "vocab.txt")
    assert caught.value.fix == f"give the folder {bert_folder}"


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("bert_tiny_en_uncase", 'did you mean "bert_tiny_en_uncased"?'),
        ("./no/such/folder", "check the path"),
        (
            "sentence-transformers/all-MiniLM-L6-v2",
            "check the path; download a model of the Hugging Face Hub first: "
            "hf download sentence-transformers/all-MiniLM-L6-v2 "
            "--local-dir all-MiniLM-L6-v2",
        ),
    ],
)
def test_an_unknown_preset_names_the_nearest(name, fix):
    with pytest.raises(MissingInputError) as caught:
        load_pretrained(name)
    assert caught.value.what == f"no such model folder or preset: {name!r}"
    assert caught.value.fix == fix


def test_a_config_may_lack_what_has_a_default(tmp_path, reference):
    config = bert_config()
    for key in ("hidden_act", "layer_norm_eps", "type_vocab_size"):
        del config[key]
    loaded = load_pretrained(write_bert(tmp_path / "model", config))
    np.testing.assert_array_equal(pooled(loaded.backbone), pooled(reference.backbone))
