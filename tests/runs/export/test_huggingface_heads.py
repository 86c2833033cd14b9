"""Heads in folders for transformers: what is written computes what the run does.

The classes of transformers are written out here in NumPy, from their documentation;
tools/check_transformers.py asks transformers itself.
"""

from __future__ import annotations

import json

import keras_hub
import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.fixtures.bert import VOCABULARY, tiny_backbone
from tests.goldens import ROOT, golden
from tfft.core.errors import ConfigError
from tfft.methods.method import METHODS
from tfft.models.heads import Linear, through_relu, through_tanh
from tfft.models.load_backbone import load_backbone
from tfft.models.pooling_config import read_modules
from tfft.models.pretrained import load_pretrained
from tfft.models.tokenizer_files import read_tokenizer, word_piece
from tfft.runs.build import build
from tfft.runs.export.huggingface import export_run
from tfft.runs.predictor import Predictor
from tfft.tasks.task import TASKS

SIZES = {
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 16,
    "intermediate_dim": 16,
    "max_sequence_length": 32,
}
LLAMA = {
    "num_layers": 1,
    "num_query_heads": 2,
    "num_key_value_heads": 1,
    "hidden_dim": 16,
    "intermediate_dim": 16,
}


def model(family):
    """Returns a tiny backbone with its tokenizer."""
    if family == "bert":
        return tiny_backbone(), word_piece(VOCABULARY)
    if family == "distilbert":
        size = len(VOCABULARY)
        made = keras_hub.models.DistilBertBackbone(vocabulary_size=size, **SIZES)
        return made, word_piece(VOCABULARY)
    name, kind, sizes = {
        "roberta": ("roberta-tokenizer", "RobertaBackbone", SIZES),
        "gpt2": ("gpt2-tokenizer", "GPT2Backbone", SIZES),
        "llama": ("gpt2-tokenizer", "LlamaBackbone", LLAMA),
        "qwen2": ("gpt2-tokenizer", "QwenBackbone", LLAMA),
        "mistral": ("gpt2-tokenizer", "MistralBackbone", LLAMA),
    }[family]
    tokenizer = read_tokenizer(ROOT / name)
    made = getattr(keras_hub.models, kind)(
        vocabulary_size=tokenizer.vocabulary_size, **sizes
    )
    return made, tokenizer


def write(folder, family, task, labels=("no", "maybe", "yes"), **options):
    """Exports a network with a random head; returns it, its config and tensors."""
    backbone, tokenizer = model(family)
    pretrained = load_pretrained(backbone, tokenizer)
    task, _ = TASKS.resolve(task, {"max_length": 16, **options}).suited_to(pretrained)
    built = build(task, METHODS.resolve("head", {}), pretrained, labels, 0)
    generator = np.random.default_rng(1)
    for variable in built.network.head_variables:
        variable.assign(generator.normal(0, 1, variable.shape))
    export_run(Predictor(built, task, labels), folder, head=True)
    config = json.loads((folder / "config.json").read_text())
    return built.network, config, load_file(folder / "model.safetensors")


def outputs(network, folder):
    """Returns what a network says of random ids, and the exported backbone's states."""
    loaded = load_backbone(folder)
    generator = np.random.default_rng(2)
    ids = generator.integers(5, network.backbone.vocabulary_size, (4, 9), "int32")
    mask = np.ones_like(ids)
    mask[1:, 6:] = 0
    batch = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": mask}
    batch = {name: batch[name] for name in network.input}
    found = loaded.backbone(batch, training=False)
    states = np.asarray(loaded.architecture.sequence(found))
    return np.asarray(network(batch, training=False)), states, mask, found


def dense(tensors, name, x):
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


@pytest.mark.parametrize(
    ("arrange", "act"),
    [(through_relu, lambda x: np.maximum(x, 0)), (through_tanh, np.tanh)],
)
def test_two_layers_compute_one(arrange, act):
    generator = np.random.default_rng(0)
    head = Linear(generator.normal(0, 1, (4, 8)), generator.normal(0, 1, 4))
    layers = arrange(("first", "second"), head)
    first, second = layers.values()
    assert list(layers) == ["first", "second"]
    assert first.weight.shape == (8, 8)
    x = generator.normal(0, 1, (50, 8))
    found = act(x @ first.weight.T + first.bias) @ second.weight.T + second.bias
    np.testing.assert_allclose(found, x @ head.weight.T + head.bias, 0, 3e-5)
    wide = Linear(np.zeros((5, 8)), np.zeros(5))
    assert arrange(("first", "second"), wide) is None


@pytest.mark.parametrize(
    ("family", "name", "modules"),
    [
        ("distilbert", "DistilBert", ("pre_classifier", "classifier")),
        ("roberta", "Roberta", ("classifier.dense", "classifier.out_proj")),
    ],
)
def test_a_head_on_the_first_token_goes_through_two_layers(
    tmp_path, family, name, modules
):
    network, config, tensors = write(tmp_path / "out", family, "text_classification")
    assert config["architectures"] == [f"{name}ForSequenceClassification"]
    assert config["problem_type"] == "single_label_classification"
    assert config["id2label"] == {"0": "no", "1": "maybe", "2": "yes"}
    expected, states, _, _ = outputs(network, tmp_path / "out")
    act = np.tanh if family == "roberta" else lambda x: np.maximum(x, 0)
    hidden = act(dense(tensors, modules[0], states[:, 0]))
    found = dense(tensors, modules[1], hidden)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_a_number_has_center_and_scale_in_its_head(tmp_path):
    options = {"pooling": "pooler", "center": 15.0, "scale": 4.0}
    network, config, tensors = write(
        tmp_path / "out", "bert", "regression", (), **options
    )
    assert config["problem_type"] == "regression"
    assert config["id2label"] == {"0": "LABEL_0"}
    expected, _, _, found = outputs(network, tmp_path / "out")
    numbers = dense(tensors, "classifier", np.asarray(found["pooled_output"]))
    np.testing.assert_allclose(numbers, expected * 4 + 15, rtol=1e-6)


def test_a_large_scale_stays_out_of_the_middle_of_tanh(tmp_path):
    options = {"center": 1e4, "scale": 3e3}
    network, _, tensors = write(
        tmp_path / "out", "roberta", "regression", (), **options
    )
    expected, states, _, _ = outputs(network, tmp_path / "out")
    hidden = np.tanh(dense(tensors, "classifier.dense", states[:, 0]))
    numbers = dense(tensors, "classifier.out_proj", hidden)
    np.testing.assert_allclose(numbers, expected * 3e3 + 1e4, rtol=2e-5)


def test_labels_decided_one_by_one_say_so(tmp_path):
    _, config, _ = write(
        tmp_path / "out", "bert", "multi_label", pooling="pooler",
        thresholds=(0.25, 0.5, 0.75),
    )  # fmt: skip
    assert config["problem_type"] == "multi_label_classification"
    assert config["label2id"] == {"no": 0, "maybe": 1, "yes": 2}
    assert config["label_thresholds"] == {"no": 0.25, "maybe": 0.5, "yes": 0.75}


@pytest.mark.parametrize(
    ("family", "pooling", "switch"),
    [
        ("bert", "mean", "pooling_mode_mean_tokens"),
        ("bert", "first", "pooling_mode_cls_token"),
        ("llama", "last", "pooling_mode_lasttoken"),
    ],
)
def test_other_heads_are_modules_of_sentence_transformers(
    tmp_path, family, pooling, switch
):
    folder = tmp_path / "out"
    network, config, _ = write(folder, family, "text_classification", pooling=pooling)
    kinds = [one.kind for one in read_modules(folder)]
    assert kinds == ["Transformer", "Pooling", "Dense"]
    told = json.loads((folder / "1_Pooling" / "config.json").read_text())
    assert [name for name, value in told.items() if value is True] == [switch]
    assert config["id2label"] == {"0": "no", "1": "maybe", "2": "yes"}
    expected, states, mask, _ = outputs(network, folder)
    last = mask.sum(axis=1) - 1
    summary = {
        "mean": (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True),
        "first": states[:, 0],
        "last": states[np.arange(len(last)), last],
    }[pooling]
    tensors = load_file(folder / "2_Dense" / "model.safetensors")
    found = dense(tensors, "linear", summary)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    dense_config = json.loads((folder / "2_Dense" / "config.json").read_text())
    assert dense_config["activation_function"] == "torch.nn.modules.linear.Identity"
    limits = json.loads((folder / "sentence_bert_config.json").read_text())
    assert limits["max_seq_length"] == 16
    assert "SentenceTransformer(" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("family", "tags", "answers"),
    [
        ("gpt2", ("GPT2", "transformer.h.0.", "classifier"), "transformer.h.0."),
        ("llama", ("Llama", "model.layers.0.", "score"), "transformer.layers.0."),
        ("qwen2", ("Qwen2", "model.layers.0.", "score"), "transformer.layers.0."),
        ("mistral", ("Mistral", "model.layers.0.", "score"), "model.layers.0."),
    ],
)
def test_decoders_have_heads_on_tokens(tmp_path, family, tags, answers):
    name, prefix, module = tags
    labels = ("O", "B-X")
    network, config, tensors = write(
        tmp_path / "tags", family, "token_classification", labels, stride=4
    )
    assert config["architectures"] == [f"{name}ForTokenClassification"]
    assert any(one.startswith(prefix) for one in tensors)
    expected, states, _, _ = outputs(network, tmp_path / "tags")
    found = dense(tensors, module, states)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    options = {"stride": 4, "max_question": 4}
    _, config, tensors = write(
        tmp_path / "answers", family, "question_answering", (), **options
    )
    assert config["architectures"] == [f"{name}ForQuestionAnswering"]
    assert tensors["qa_outputs.weight"].shape == (2, 16)
    assert "lm_head.weight" not in tensors
    assert any(one.startswith(answers) for one in tensors)
    load_backbone(tmp_path / "answers")  # whichever prefix the class has


def test_labels_of_the_head_before_are_gone(tmp_path):
    source, _, _ = golden("sentence-transformers")
    config = json.loads((source / "config.json").read_text())
    stale = {**config, "id2label": {"0": "a"}, "problem_type": "regression"}
    model, task = load_pretrained(source), TASKS.resolve("question_answering", {})
    task, _ = task.suited_to(model)
    model.config.clear()
    model.config.update(stale)
    built = build(task, METHODS.resolve("head", {}), model, (), 0)
    export_run(Predictor(built, task, ()), tmp_path / "out", head=True)
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert not {"id2label", "label2id", "problem_type"} & written.keys()


@pytest.mark.parametrize(
    ("family", "task", "expected"),
    [
        ("bert", "text_classification", {
            "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
            "padding_side": "right", "truncation_side": "right",
            "model_max_length": 16, "split_special_tokens": True,
        }),
        ("roberta", "text_classification", {
            "model_input_names": ["input_ids", "attention_mask"],
            "padding_side": "right", "model_max_length": 16,
        }),
        ("gpt2", "text_classification", {
            "model_input_names": ["input_ids", "attention_mask"],
            "padding_side": "right", "pad_token": "<|endoftext|>",
        }),
        ("gpt2", "causal_lm", {
            "model_input_names": ["input_ids", "attention_mask"],
            "padding_side": "left", "model_max_length": 32,
            "pad_token": "<|endoftext|>", "split_special_tokens": None,
        }),
    ],
)  # fmt: skip
def test_the_tokenizer_gives_the_model_what_it_takes(tmp_path, family, task, expected):
    write(tmp_path / "out", family, task)
    found = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert {name: found.get(name) for name in expected} == expected
    generates = (tmp_path / "out" / "generation_config.json").is_file()
    assert generates == (task == "causal_lm")


def test_several_runs_that_answer_as_one_are_refused(tmp_path):
    class Built:
        network = object()

    with pytest.raises(ConfigError, match="export each run by itself"):
        export_run(Predictor(Built, None, ()), tmp_path / "out", head=True)
