"""Ensembles and soups of runs: their numbers by numpy from the members' own."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import tfft
from tests.fixtures.bert import tiny_backbone
from tfft.compute.layers import spots
from tfft.core.errors import ConfigError, OutputInUseError
from tfft.runs.soup import make_soup
from tfft.tasks.joining import join_choices

TEXTS = ["good abc", "bad cab", "", "a good bad", "!", "zzz good", "bad " * 40]
# Enough that the members disagree, and each has moved far from the start.
TRAINED = {"method": {"name": "lora", "rank": 2}, "learning_rate": 0.02, "epochs": 2}


@pytest.fixture(scope="module")
def folders(tune):
    return [tune(**TRAINED, seed=seed).folder for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def own(folders):
    """What each member says by itself, shape (members, texts, classes)."""
    return np.array([probabilities(tfft.load(folder)) for folder in folders])


@pytest.fixture(scope="module")
def average(folders):
    return tfft.ensemble(folders)


def probabilities(run, texts=TEXTS):
    return [list(one["probabilities"].values()) for one in run.predict(texts)]


def test_the_average_is_the_mean_of_what_each_member_says(average, own):
    assert np.ptp(own, axis=0).max() > 0.05  # they disagree
    found = probabilities(average)
    assert found == pytest.approx(own.mean(axis=0), abs=1e-6)  # float32 sums
    assert tuple(one["label"] for one in average.predict(TEXTS)) == tuple(
        np.array(["neg", "pos"])[own.mean(axis=0).argmax(axis=1)]
    )


def test_the_base_weights_are_there_once(average, folders):
    network = average.run.model
    base = tfft.load(folders[0]).model.count_params()
    own = sum(value.size for value in average.members.values[0])
    assert network.count_params() == base + 3 * own
    assert own < base / 3


def test_a_vote_is_the_share_of_the_members(folders, own):
    found = probabilities(tfft.ensemble(folders, how="vote"))
    votes = np.eye(2)[own.argmax(axis=2)].mean(axis=0)
    # Ties are broken by a millionth.
    assert found == pytest.approx(votes, abs=2e-6)


def test_a_tie_goes_to_the_likelier_label(folders, own):
    found = np.array(probabilities(tfft.ensemble(folders[:2], how="vote")))
    choices, mean = own[:2].argmax(axis=2), own[:2].mean(axis=0)
    split = choices[0] != choices[1]
    assert split.any()
    assert (found.argmax(axis=1)[split] == mean.argmax(axis=1)[split]).all()


def test_a_close_tie_goes_to_the_likelier_label():
    members = np.log(np.array([[[0.6, 0.4]], [[0.39998, 0.60002]]], "float32"))
    [row] = np.exp(join_choices(members, "vote"))
    assert row.argmax() == 1
    assert row == pytest.approx([0.5, 0.5], abs=2e-6)


def test_members_in_fewer_bits_are_refused(average, tmp_path):
    with pytest.raises(ConfigError, match=r"int8.*ensemble"):
        average.run.export(tmp_path / "served", dtype="int8")


def test_one_export_holds_them_all(average, own, tmp_path):
    import tensorflow as tf

    folder = average.export(tmp_path / "served")
    answer = tf.saved_model.load(str(folder)).signatures["serving_default"]
    found = answer(text=tf.constant(TEXTS))
    assert np.abs(found["probabilities"].numpy() - own.mean(axis=0)).max() <= 1e-6
    details = json.loads((folder / "assets.extra" / "tfft.json").read_text())
    assert details["labels"] == ["neg", "pos"]
    assert details["run"] == "average-of-3"
    record = average.run.record
    assert record["metrics"] == {}
    assert all(name in record["notes"][-1] for name in average.members.names)


def test_frozen_layers_below_the_members_own_are_computed_once(tune):
    options = {"method": {"name": "last_layers", "count": 1}, "learning_rate": 0.01}
    folders = [tune(**options, seed=seed).folder for seed in (1, 2)]
    found = tfft.ensemble(folders)
    layer = next(one for one in found.run.model.layers if one.name == "members")
    assert 0.3 < layer.shared < 0.7  # the first of two layers
    own = np.array([probabilities(tfft.load(folder)) for folder in folders])
    assert probabilities(found) == pytest.approx(own.mean(axis=0), abs=1e-6)


def test_a_soup_of_lora_averages_the_updates_exactly(folders, tmp_path):
    deltas = []
    for folder in folders:
        adapter = tfft.load(folder).built.adapter
        deltas.append([np.array(one.layer.delta_matrix()) for one in adapter.injected])
    soup = tfft.ensemble(folders, how="soup", output_dir=tmp_path / "soup")
    adapter = tfft.load(tmp_path / "soup").built.adapter
    assert adapter.method.rank == 6
    for found, *theirs in zip(adapter.injected, *deltas, strict=True):
        # float32 products of rank 6 beside three of rank 2
        assert np.array(found.layer.delta_matrix()) == pytest.approx(
            np.mean(theirs, axis=0), abs=1e-6
        )
    heads = [tfft.load(folder).model.head_variables for folder in folders]
    kernels = [np.array(kernel) for kernel, _ in heads]
    assert np.array(soup.run.model.head_variables[0]) == pytest.approx(
        np.mean(kernels, axis=0), abs=1e-7
    )


def test_the_mean_of_the_factors_is_something_else(folders):
    adapters = [tfft.load(folder).built.adapter for folder in folders]
    firsts = [adapter.injected[0].layer for adapter in adapters]
    a, b = (
        np.mean([np.array(getattr(one, name)) for one in firsts], axis=0)
        for name in ("lora_a", "lora_b")
    )
    mean = np.mean([np.array(one.delta_matrix()) for one in firsts], axis=0)
    error = np.linalg.norm(firsts[0].scale * a @ b - mean) / np.linalg.norm(mean)
    assert error > 0.5


def test_a_soup_can_be_compressed_to_a_rank(folders, tmp_path):
    tfft.ensemble(folders, how="soup", output_dir=tmp_path / "soup", rank=3)
    found = tfft.load(tmp_path / "soup").built.adapter.injected[0].layer
    deltas = [
        np.array(tfft.load(one).built.adapter.injected[0].layer.delta_matrix())
        for one in folders
    ]
    values = np.linalg.svd(np.mean(deltas, axis=0), compute_uv=False)
    missing = np.array(found.delta_matrix()) - np.mean(deltas, axis=0)
    # Eckart and Young: the error of the best approximation of rank 3.
    assert np.linalg.norm(missing) == pytest.approx(
        np.linalg.norm(values[3:]), rel=1e-4
    )


def test_a_soup_of_plain_weights_is_their_mean(tune, tmp_path):
    options = {"method": {"name": "last_layers", "count": 1}, "learning_rate": 0.01}
    folders = [tune(**options, seed=seed).folder for seed in (1, 2)]
    tfft.ensemble(folders, how="soup", output_dir=tmp_path / "soup")
    values = {
        folder: {v.path: np.array(v) for v in tfft.load(folder).model.trainable_weights}
        for folder in (*folders, tmp_path / "soup")
    }
    for path, found in values[tmp_path / "soup"].items():
        mean = np.mean([values[folder][path] for folder in folders], axis=0)
        assert found == pytest.approx(mean, abs=1e-7)


def test_gain_or_loss_is_against_the_best_member(folders, make_rows, capsys):
    rows = make_rows(60, seed=9)
    folders = folders[:2]
    found = tfft.ensemble(folders, data=rows, metric="macro_f1")
    shown = capsys.readouterr().out
    scores = found.compare(rows, "macro_f1")
    own = [tfft.load(one).evaluate(rows).metrics["macro_f1"] for one in folders]
    assert [one["macro_f1"] for one in scores.members.values()] == own
    assert scores.members[scores.best]["macro_f1"] == max(own)
    assert scores.gain == pytest.approx(scores.ensemble["macro_f1"] - max(own))
    assert str(scores) in shown
    loss = found.compare(rows)
    assert loss.metric == "loss"
    assert loss.members[loss.best]["loss"] == min(
        one["loss"] for one in loss.members.values()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"how": "vot"}, r"how='vot'.*average, vote, soup.*\"vote\""),
        ({"how": "soup"}, r"'soup' without output_dir"),
        ({"output_dir": "x"}, r"'average' with output_dir"),
        ({"rank": 2}, r"rank=2 with how='average'"),
        ({"data": [{"text": "a", "label": "neg"}], "metric": "f2"}, r"no metric 'f2'"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message, folders):
    with pytest.raises(ConfigError, match=message):
        tfft.ensemble(folders, **options)


@pytest.mark.parametrize(
    ("noun", "change"),
    [
        ("base model", {"model": {"fingerprint": "0"}}),
        ("method", {"method": {"rank": 4}}),
        ("labels", {"labels": ["a", "b"]}),
        ("tasks differ: max_length", {"task": {"max_length": 16}}),
    ],
)
def test_members_that_do_not_belong_together_are_refused(
    noun, change, folders, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(folders[1], other)
    record = json.loads((other / "run.json").read_text())
    for key, value in change.items():
        changed = {**record[key], **value} if isinstance(value, dict) else value
        (other / "run.json").write_text(json.dumps({**record, key: changed}))
    with pytest.raises(ConfigError, match=noun):
        tfft.ensemble([folders[0], other])


def test_a_base_is_known_by_its_weights_alone(tune, folders, tmp_path):
    tokenizer = tfft.load(folders[0]).built.pretrained.tokenizer

    def member(name, seed=None):
        # Built anew, so that Keras counts its layers on; dropout's states differ.
        backbone = tiny_backbone(dropout=0.1)
        for spot in spots(backbone):
            if isinstance(spot.layer, keras.layers.Dropout):
                spot.layer.seed_generator.state.assign([len(name), 0])
        if seed is not None:
            table = backbone.get_layer("token_embedding").embeddings
            table.assign(table + seed)
        options = {"model": backbone, "tokenizer": tokenizer, "backbone_dropout": 0.0}
        return tune(**options, output_dir=tmp_path / name).folder

    first = member("first")
    found = tfft.ensemble([first, member("another")])
    assert len(found.members) == 2
    with pytest.raises(ConfigError, match="differ in their base model"):
        tfft.ensemble([first, member("changed", seed=1e-3)])


def test_one_member_is_no_ensemble(folders):
    with pytest.raises(ConfigError, match="1 members"):
        tfft.ensemble(folders[:1])


def test_a_soup_of_what_has_no_mean_is_refused(tmp_path):
    adapter = SimpleNamespace(method=tfft.LoRA(use_dora=True))
    run = SimpleNamespace(built=SimpleNamespace(adapter=adapter))
    with pytest.raises(ConfigError, match="cannot be averaged"):
        make_soup([run, run], tmp_path, None)


def test_a_soup_of_lora_with_biases_is_refused(tune, tmp_path):
    run = tune(method={"name": "lora", "rank": 2, "bias": "all"})
    with pytest.raises(ConfigError, match="also trained weights of the base"):
        tfft.ensemble([run, run], how="soup", output_dir=tmp_path / "soup")
    assert not (tmp_path / "soup" / "run.json").exists()


def test_a_soup_is_not_written_over_something(folders):
    with pytest.raises(OutputInUseError, match="not empty"):
        tfft.ensemble(folders[1:], how="soup", output_dir=folders[0])
