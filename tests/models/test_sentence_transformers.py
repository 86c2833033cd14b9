"""Folders of Sentence Transformers: the way to sum up a text is theirs, or refused.

The oracle is Sentence Transformers 6.2, which wrote the folder and its embeddings.
"""

from __future__ import annotations

import json
import os
import shutil

import keras
import numpy as np
import pytest

import tfft
from tests.fixtures.untrusted import into_cache
from tests.goldens import golden
from tfft.core.errors import ConfigError, DataError
from tfft.data.batching import Batches, Examples
from tfft.models.pretrained import load_pretrained
from tfft.tasks.networks.pooling import summary
from tfft.tasks.text_classification import TextClassification

NAME = "sentence-transformers"
POOLINGS = {
    "cls": "first",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weightedmean",
    "lasttoken": "last",
}
# The names of version 2, which most folders have.
OLD = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
FORMS = {
    "a word": lambda mode: {"embedding_dimension": 16, "pooling_mode": mode},
    "a list": lambda mode: {"embedding_dimension": 16, "pooling_mode": [mode]},
    "switches": lambda mode: {
        "word_embedding_dimension": 16,
        **{key: name == mode for name, key in OLD.items()},
    },
}


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(golden(NAME)[0], tmp_path / "model")


def write_pooling(folder, config):
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))
    return folder


def write_modules(folder, *modules):
    """Writes modules.json from pairs of a path and a class."""
    listed = [
        {
            "idx": i,
            "name": str(i),
            "path": path,
            "type": f"sentence_transformers.{kind}",
        }
        for i, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    return folder


def embeddings(pretrained, pooling, texts):
    """Returns the summaries of texts in one padded batch."""
    encodings = pretrained.tokenizer.encode(texts, None, 32)
    sequences = {
        name: [getattr(one, name) for one in encodings]
        for name in ("token_ids", "segment_ids")
    }
    examples = Examples(sequences, {}, {"token_ids": 0, "segment_ids": 0})
    batch = Batches(examples, len(texts)).batch(np.arange(len(texts)))
    pooled = summary(pretrained.architecture, pretrained.backbone, pooling)
    model = keras.Model(pretrained.backbone.input, pooled)
    return np.asarray(model({name: batch[name] for name in model.input}))


@pytest.mark.parametrize("mode", POOLINGS)
@pytest.mark.parametrize("form", FORMS)
def test_every_mode_is_read_in_every_form(folder, form, mode):
    write_pooling(folder, FORMS[form](mode))
    assert load_pretrained(folder).pooling == POOLINGS[mode]


def test_every_mode_computes_what_sentence_transformers_does():
    folder, _, expected = golden(NAME)
    assert expected.keys() == POOLINGS.keys()
    texts = json.loads((folder / "texts.json").read_text())
    pretrained = load_pretrained(folder)
    for mode, pooling in POOLINGS.items():
        found = embeddings(pretrained, pooling, texts)
        np.testing.assert_allclose(found, expected[mode], rtol=0, atol=5e-6)


def test_what_the_task_leaves_aside_is_told():
    task, notes = TextClassification().suited_to(load_pretrained(golden(NAME)[0]))
    assert task.pooling == "mean"
    assert "Normalize in modules.json is ignored" in " ".join(notes)


def test_a_folder_without_switches_on_means_the_mean(folder):
    write_pooling(folder, {"word_embedding_dimension": 16, OLD["cls"]: False})
    assert load_pretrained(folder).pooling == "mean"


def test_the_folder_of_the_pooling_is_the_one_that_modules_name(folder):
    (folder / "1_Pooling").rename(folder / "pool")
    write_modules(folder, ("", "models.Transformer"), ("pool", "models.Pooling"))
    write = {"embedding_dimension": 16, "pooling_mode": "max"}
    (folder / "pool" / "config.json").write_text(json.dumps(write))
    assert load_pretrained(folder).pooling == "max"


def test_a_folder_without_modules_may_have_a_pooling(folder):
    (folder / "modules.json").unlink()
    assert (
        load_pretrained(write_pooling(folder, FORMS["a word"]("max"))).pooling == "max"
    )
    shutil.rmtree(folder / "1_Pooling")
    assert load_pretrained(folder).pooling == "pooler"


def test_the_transformer_may_have_a_folder_of_its_own(folder, tmp_path):
    inner = tmp_path / "whole" / "0_Transformer"
    inner.parent.mkdir()
    shutil.copytree(folder, inner)
    shutil.rmtree(inner / "1_Pooling")
    shutil.copytree(folder / "1_Pooling", inner.parent / "1_Pooling")
    modules = ("0_Transformer", "models.Transformer"), ("1_Pooling", "models.Pooling")
    found = load_pretrained(write_modules(inner.parent, *modules))
    assert found.pooling == "mean"
    assert found.source == str(inner.parent)


@pytest.mark.parametrize(
    ("mode", "named"),
    [
        (["cls", "mean"], r"pooling cls\+mean, several at once"),
        ("attention", "pooling 'attention'"),
    ],
)
def test_modes_that_tfft_lacks_are_refused_by_name(folder, mode, named):
    write_pooling(folder, {"embedding_dimension": 16, "pooling_mode": mode})
    loaded = load_pretrained(folder)
    with pytest.raises(ConfigError, match=f"the model's pooling: {named}"):
        TextClassification().suited_to(loaded)
    # A task that names a way, or needs none, is not concerned.
    assert TextClassification(pooling="max").suited_to(loaded)[0].pooling == "max"


def test_two_switches_are_two_modes(folder):
    write_pooling(folder, {OLD["mean"]: True, OLD["max"]: True})
    with pytest.raises(ConfigError, match=r"max\+mean"):
        TextClassification().suited_to(load_pretrained(folder))
    write_pooling(folder, {"pooling_mode_attention": True})
    with pytest.raises(ConfigError, match="pooling_mode_attention"):
        TextClassification().suited_to(load_pretrained(folder))


@pytest.mark.parametrize(
    ("modules", "named"),
    [
        ("Transformer Pooling Dense", "Dense"),
        ("Transformer Pooling Normalize Dense", "Dense"),
        ("Transformer WeightedLayerPooling Pooling", "WeightedLayerPooling"),
        ("WordEmbeddings Pooling", "WordEmbeddings"),
        ("Transformer Pooling Pooling", "Pooling"),
    ],
)
def test_modules_that_tfft_lacks_are_refused_by_name(folder, modules, named):
    paths = {"Transformer": "", "Pooling": "1_Pooling"}
    listed = [(paths.get(kind, f"2_{kind}"), kind) for kind in modules.split()]
    write_modules(folder, *listed)
    with pytest.raises(ConfigError, match=f"{named} in modules.json") as caught:
        TextClassification().suited_to(load_pretrained(folder))
    assert 'task.pooling="mean"' in caught.value.fix


def test_a_dense_after_another_pooling_names_that_pooling(folder):
    write_pooling(folder, {OLD["lasttoken"]: True})
    write_modules(
        folder, ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")
    )
    with pytest.raises(ConfigError) as caught:
        TextClassification().suited_to(load_pretrained(folder))
    assert 'task.pooling="last"' in caught.value.fix


@pytest.mark.parametrize(
    "content", ["{}", "[1]", '[{"type": 1}]', "[", "[" * 100_000, '[{"path": "x"}]']
)
def test_damaged_modules_are_an_error(folder, content):
    (folder / "modules.json").write_text(content)
    with pytest.raises(DataError, match=r"modules\.json is not usable"):
        load_pretrained(folder)


@pytest.mark.parametrize("mode", [1, [], [1], {"cls": True}])
def test_a_mode_that_is_no_word_is_an_error(folder, mode):
    write_pooling(folder, {"pooling_mode": mode})
    with pytest.raises(DataError, match="pooling_mode="):
        load_pretrained(folder)


def test_modules_never_lead_out_of_the_folder(folder, tmp_path):
    outside = shutil.copytree(folder / "1_Pooling", tmp_path / "outside")
    write_modules(folder, ("", "Transformer"), ("../outside", "Pooling"))
    with pytest.raises(DataError, match="outside the model folder"):
        load_pretrained(folder)
    shutil.rmtree(folder / "1_Pooling")
    os.symlink(outside, folder / "1_Pooling")
    write_modules(folder, ("", "Transformer"), ("1_Pooling", "Pooling"))
    with pytest.raises(DataError, match="outside the model folder"):
        load_pretrained(folder)
    write_modules(folder, ("", "Transformer"), ("absent", "Pooling"))
    with pytest.raises(DataError, match="names the folder 'absent'"):
        load_pretrained(folder)


def test_a_pooling_in_the_cache_is_a_link_to_a_blob(folder, tmp_path):
    config = folder / "1_Pooling" / "config.json"
    content = config.read_bytes()
    shutil.rmtree(folder / "1_Pooling")
    shutil.rmtree(folder / "2_Normalize")
    snapshot = into_cache(folder, tmp_path / "hub")
    blob = snapshot.parent.parent / "blobs" / "pooling"
    blob.write_bytes(content)
    (snapshot / "1_Pooling").mkdir()
    (snapshot / "1_Pooling" / "config.json").symlink_to("../../../blobs/pooling")
    assert load_pretrained(snapshot).pooling == "mean"


@pytest.mark.parametrize("pooling", ["max", "weightedmean"])
def test_a_run_learns_and_is_exported_with_it(pooling, make_rows, tmp_path):
    run = tfft.finetune(
        model=golden(NAME)[0],
        data=make_rows(40),
        task={"name": "text_classification", "pooling": pooling},
        output_dir=tmp_path / "run",
        epochs=1,
        precision="float32",
        verbose=0,
    )
    texts = ["good", "bad and longer"]
    assert tfft.load(run.folder).predict(texts) == run.predict(texts)
    for form in ("litert", "onnx"):
        assert run.export(tmp_path / form, format=form).is_dir()
