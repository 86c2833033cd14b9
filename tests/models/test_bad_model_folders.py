"""Every unusable model folder is refused with what is wrong and how to mend it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.fixtures.bert import VOCABULARY, bert_config, bert_tensors, write_bert
from tfft.compute.layers import variables_by_path
from tfft.core.errors import ConfigError, DataError, MissingInputError
from tfft.models.architecture import ARCHITECTURES
from tfft.models.assign import assign_checkpoint
from tfft.models.pretrained import load_pretrained

WEIGHTS = "model.safetensors"
QUERY = "encoder.layer.0.attention.self.query.weight"
INNER = "encoder.layer.1.intermediate.dense.weight"


@pytest.fixture
def folder(tmp_path):
    return write_bert(tmp_path / "model")


def refused(folder, kind):
    with pytest.raises(kind) as caught:
        load_pretrained(folder)
    return caught.value


def test_no_config(folder):
    (folder / "config.json").unlink()
    error = refused(folder, MissingInputError)
    assert error.what == "model folder without config.json"
    assert error.where == str(folder)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("adapter_config.json", "load this PEFT adapter with tfft.load_adapter"),
        ("tfft_adapter.json", "load this adapter with tfft.load_adapter"),
        ("run.json", "load this run with tfft.load"),
        ("saved_model.pb", "a SavedModel cannot be trained"),
        ("1/saved_model.pb", "a SavedModel cannot be trained"),
    ],
)
def test_a_folder_of_another_kind_says_what_reads_it(tmp_path, name, fix):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    error = refused(tmp_path, MissingInputError)
    assert error.what == "model folder without config.json"
    assert fix in error.fix


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000])
def test_a_config_that_is_no_json_object(folder, content):
    (folder / "config.json").write_bytes(content)
    error = refused(folder, DataError)
    assert error.what.startswith("config.json is not usable")
    assert error.where == str(folder / "config.json")


def test_no_weights(folder):
    (folder / WEIGHTS).unlink()
    error = refused(folder, MissingInputError)
    assert error.what == "model folder without model.safetensors"
    assert error.fix == "download the weights as well"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_a_pickle_is_never_opened(folder, name):
    (folder / WEIGHTS).unlink()
    (folder / name).write_bytes(b"cos\nsystem\n(S'exit'\ntR.")
    error = refused(folder, MissingInputError)
    assert error.fix.startswith(f"{name} is a pickle, which can run code")
    assert f"save_pretrained('{folder}') writes model.safetensors" in error.fix


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid", "run git lfs pull"),
        (b"\n<!DOCTYPE html><html></html>", "download the file itself"),
        (b"", "download it again"),
        (b"\xff" * 100, "download it again"),
    ],
)
def test_weights_that_are_something_else(folder, content, fix):
    (folder / WEIGHTS).write_bytes(content)
    error = refused(folder, DataError)
    assert error.where == str(folder / WEIGHTS)
    assert error.fix.endswith(fix)


@pytest.mark.parametrize("kept", [4, 100, -1])
def test_weights_that_were_cut_off(folder, kept):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[:kept])
    error = refused(folder, DataError)
    assert error.what.startswith("not a complete safetensors file")
    assert error.fix == "download it again"


def test_a_missing_tensor_is_named_and_nothing_is_assigned(backbone):
    tensors = bert_tensors()
    del tensors["encoder.layer.1.output.LayerNorm.bias"]
    before = {path: v.numpy() for path, v in variables_by_path(backbone).items()}
    with pytest.raises(DataError) as caught:
        assign_checkpoint(backbone, ARCHITECTURES.get("bert")(), tensors, {})
    assert caught.value.what == (
        "the weights do not fit: encoder.layer.1.output.LayerNorm.bias is missing"
    )
    for path, variable in variables_by_path(backbone).items():
        np.testing.assert_array_equal(variable.numpy(), before[path], path)


def test_ten_problems_are_shown_and_the_rest_counted(folder):
    save_file({f"x{name}": t for name, t in bert_tensors().items()}, folder / WEIGHTS)
    error = refused(folder, DataError)
    assert error.what.count("is missing") == 10
    # 5 embeddings' tensors and 16 of each of 2 layers are missing, and 2 of the pooler
    # may be; 39 are not known.
    assert error.what.endswith(" and 66 more")
    assert error.where == str(folder)


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        (QUERY, lambda t: t[:-1], "has shape (15, 16), not (16, 16)"),
        (INNER, lambda t: t.T, "has shape (16, 32), not (32, 16)"),
        (QUERY, lambda t: t.reshape(32, 8), "has shape (32, 8), not (16, 16)"),
        (QUERY, lambda t: t.ravel(), "has shape (256,), not (16, 16)"),
        (QUERY, lambda t: t.reshape(4, 4, 16), "has shape (4, 4, 16), not (16, 16)"),
        (QUERY, lambda t: t.astype("int32"), "holds int32 values"),
    ],
)
def test_a_tensor_of_another_shape_is_named(folder, name, change, problem):
    tensors = bert_tensors()
    tensors[name] = np.ascontiguousarray(change(tensors[name]))
    save_file(tensors, folder / WEIGHTS)
    assert f"{name} {problem}" in refused(folder, DataError).what


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_finite_numbers(folder, value):
    tensors = bert_tensors()
    tensors[QUERY][3, 4] = value
    save_file(tensors, folder / WEIGHTS)
    assert f"{QUERY} holds values that are no" in refused(folder, DataError).what


@pytest.mark.parametrize("family", ["gtp2", "t5", None, ["bert"]])
def test_an_unknown_family_lists_those_that_work(tmp_path, family):
    folder = write_bert(tmp_path / "model", bert_config(model_type=family))
    error = refused(folder, ConfigError)
    assert error.what == f"model_type {family!r} is not supported"
    assert error.expected == "one of: " + ", ".join(ARCHITECTURES.names())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("hidden_act", "mish", "one of: gelu, gelu_new"),
        ("hidden_act", ["gelu"], "one of: gelu, gelu_new"),
        ("position_embedding_type", "relative_key", "one of: absolute"),
        ("is_decoder", True, "one of: False"),
        ("hidden_size", "16", "a whole number from 1"),
        ("hidden_size", 17, "a multiple of the number of heads"),
        ("num_hidden_layers", True, "a whole number from 1"),
        ("vocab_size", 2**31, "a whole number from 1"),
        ("type_vocab_size", None, "a whole number from 1"),
        ("hidden_dropout_prob", 1.5, "a number from 0"),
        ("hidden_dropout_prob", None, "a number from 0"),
        ("layer_norm_eps", "1e-12", "a number from 0"),
    ],
)
def test_a_config_that_would_be_computed_wrongly(tmp_path, key, value, expected):
    folder = write_bert(tmp_path / "model", bert_config(**{key: value}))
    error = refused(folder, DataError)
    assert error.what.startswith(f"{key}={value!r}")
    assert error.where == str(folder / "config.json")
    assert error.expected.startswith(expected)


def test_a_size_that_is_not_given_names_a_similar_key(tmp_path):
    config = bert_config()
    config["hiden_size"] = config.pop("hidden_size")
    folder = write_bert(tmp_path / "model", config)
    assert refused(folder, DataError).fix == 'did you mean "hiden_size"?'


@pytest.mark.parametrize(
    "index",
    [
        *({"weight_map": {"a": name}} for name in ("../x", "/etc/passwd", "..", "no")),
        *({"weight_map": {"a": name}} for name in (["x"], 1, None)),
        *({}, [], {"weight_map": 3}),
    ],
)
def test_an_index_of_files_elsewhere_or_of_nonsense(folder, index):
    (folder.parent / "x").write_bytes((folder / WEIGHTS).read_bytes())
    (folder / WEIGHTS).unlink()
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    error = refused(folder, DataError)
    starts = ("the index names the file", "the file", "index is not usable")
    assert error.what.startswith(starts)


def test_a_vocabulary_larger_than_the_model(folder):
    (folder / "vocab.txt").write_text("\n".join([*VOCABULARY, "more"]) + "\n")
    error = refused(folder, DataError)
    assert error.what == f"the tokenizer has {len(VOCABULARY) + 1} ids"
    assert error.expected == f"at most the model's {len(VOCABULARY)}"
