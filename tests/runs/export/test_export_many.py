"""One SavedModel with several adapters answers a mixed batch as each run's own."""

from __future__ import annotations

import time

import numpy as np
import pytest

import tfft
from tfft.core.errors import ConfigError

TEXTS = ["good a 1", "bad b 2", "", "abc good bad", "Crème 中文", "c " * 60]


@pytest.fixture(scope="module")
def runs(bert_folder, make_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    made = {}
    for index in range(8):
        rows = make_rows(24, seed=index)
        if index == 3:  # labels of its own, and more of them
            rows = [{**row, "label": f"l{i % 3}"} for i, row in enumerate(rows)]
        made[f"run{index}"] = tfft.finetune(
            model=bert_folder,
            data=rows,
            output_dir=folder / f"run{index}",
            method=tfft.LoRA(
                rank=2 + index, target=("key", "ffn.up") if index % 2 else None
            ),
            epochs=2,
            learning_rate=3e-2,
            precision="float32",
            validation=0,
            test=0,
            seed=index,
            verbose=0,
        )
    return made


@pytest.fixture(scope="module")
def served(runs, tmp_path_factory):
    import tensorflow as tf

    folder = tfft.export_many(list(runs.values()), tmp_path_factory.mktemp("served"))
    return tf.saved_model.load(str(folder))


def ask(served, texts, adapters):
    import tensorflow as tf

    found = served.signatures["serving_default"](
        text=tf.constant(texts), adapter=tf.constant(adapters)
    )
    return {name: value.numpy() for name, value in found.items()}


def test_rows_of_a_mixed_batch_are_those_of_each_run(runs, served):
    pairs = [(text, name) for text in TEXTS for name in runs]
    np.random.default_rng(0).shuffle(pairs)
    texts, names = map(list, zip(*pairs, strict=True))
    found = ask(served, texts, names)
    alone = {
        name: {text: run.predict([text])[0] for text in TEXTS}
        for name, run in runs.items()
    }
    firsts = {round(alone[name][TEXTS[0]]["score"], 4) for name in runs}
    assert len(firsts) > 4  # the adapters do differ
    for row, (text, name) in enumerate(pairs):
        expected = alone[name][text]
        size = len(expected["probabilities"])
        probabilities = list(expected["probabilities"].values())
        np.testing.assert_allclose(
            found["probabilities"][row, :size], probabilities, rtol=0, atol=1e-5
        )
        assert (found["probabilities"][row, size:] == 0).all()
        assert found["label"][row].decode() == expected["label"]


def test_an_unknown_name_is_an_error_and_no_default(served):
    import tensorflow as tf

    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"unknown adapter, the model has"
    ):
        ask(served, ["good", "bad"], ["run1", "run9"])


def test_runs_that_do_not_go_together_are_refused(runs, tune, tmp_path):
    def refused(other, message):
        with pytest.raises(ConfigError, match=message):
            tfft.export_many({"a": runs["run0"], "b": other}, tmp_path / "served")
        assert not (tmp_path / "served").exists()

    refused(tune(task={"name": "text_classification", "max_length": 32}, method="lora"),
            "b has max_length 32")  # fmt: skip
    refused(tune(method="full"), "b also trained weights of the backbone")
    refused(tune(method="ia3"), "ia3 adapters cannot be combined")
    with pytest.raises(ConfigError, match="no runs"):
        tfft.export_many([], tmp_path / "served")
    with pytest.raises(ConfigError, match="have the same name"):
        tfft.export_many([runs["run0"], runs["run0"]], tmp_path / "served")


@pytest.mark.slow
def test_a_mixed_batch_takes_at_most_1_3_times_one_adapters_time(
    runs, served, tmp_path
):
    import tensorflow as tf

    single = tf.saved_model.load(str(runs["run0"].export(tmp_path / "one")))
    texts = ["good abc bad " * 8] * 16
    names = [f"run{i % 8}" for i in range(16)]
    one = single.signatures["serving_default"]
    calls = {
        "one": lambda: one(text=tf.constant(texts)),
        "mixed": lambda: ask(served, texts, names),
    }
    times = {name: [] for name in calls}
    for _ in range(30):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    assert min(times["mixed"]) <= 1.3 * min(times["one"])
