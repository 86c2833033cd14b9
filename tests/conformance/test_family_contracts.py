"""The contracts of every architecture, on the tiny random model of its golden."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conformance.conftest import move
from tests.conformance.family_table import (
    FAMILY_CONTRACTS,
    FAMILY_TABLE,
    chosen,
    combinations,
    family_exception,
    refuses,
    tasks_of,
    unsuited,
)
from tests.conformance.table import METHOD_TABLE, resolve
from tests.conformance.task_table import TASK_TABLE
from tests.fixtures.bert import VOCABULARY
from tests.goldens import golden
from tfft.checkpoints.huggingface import backbone_tensors
from tfft.compute.layers import variables_by_path
from tfft.compute.processor import for_processor
from tfft.compute.speed import speed_up
from tfft.core.errors import ConfigError, DataError
from tfft.data.batching import Batches
from tfft.data.table import Table
from tfft.methods.lora import LoRA
from tfft.models.architecture import ARCHITECTURES, Architecture
from tfft.models.assign import assign_checkpoint
from tfft.models.load_backbone import load_backbone
from tfft.models.pretrained import load_pretrained
from tfft.models.tokenizer_files import word_piece
from tfft.models.weights import read_all_tensors, weight_files
from tfft.models.wiring.decoder_states import decoder_states
from tfft.models.wiring.wiring import wiring_of
from tfft.tasks.task import TASKS
from tfft.training.step import TrainingModel

pytestmark = pytest.mark.parametrize("family", FAMILY_TABLE)


@pytest.fixture
def loaded(family):
    return load_backbone(golden(family)[0])


def tensors_of(family):
    """The tensors of a golden, without those that the family never needs."""
    unused = "|".join(ARCHITECTURES.get(family).unused) or "$."
    tensors = read_all_tensors(weight_files(golden(family)[0]))
    prefix = ARCHITECTURES.get(family).prefix
    return {
        name: value
        for name, value in tensors.items()
        if not re.fullmatch(unused, name.removeprefix(prefix))
    }


def states_of(loaded, family):
    _, inputs, _ = golden(family)
    found = loaded.architecture.sequence(loaded.backbone(inputs, training=False))
    return np.asarray(found)[inputs["padding_mask"] == 1]


def test_every_family_has_an_entry_and_every_contract_a_test(family):
    assert sorted(FAMILY_TABLE) == ARCHITECTURES.names()
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [one for one in FAMILY_CONTRACTS if f"def test_{one}(" not in tests] == []


def test_every_tensor(family, loaded):
    assert loaded.report == ({}, (), ()), "a golden has a backbone's tensors alone"
    tensors, plain = tensors_of(family), states_of(loaded, family)
    generator = np.random.default_rng(0)
    lacking = []
    for name, value in tensors.items():
        rest = {one: tensors[one] for one in tensors if one != name}
        again = (loaded.backbone, loaded.architecture)
        with contextlib.suppress(DataError):
            lacking += assign_checkpoint(*again, rest, loaded.config).fresh
        # A changed tensor changes some weight.
        changed = value + generator.normal(0, 1, value.shape).astype(value.dtype)
        before = [np.array(one) for one in loaded.backbone.weights]
        assign_checkpoint(*again, {**tensors, name: changed}, loaded.config)
        after = [np.array(one) for one in loaded.backbone.weights]
        assert not all(map(np.array_equal, before, after)), name
    assert set(lacking) <= set(loaded.architecture.optional)
    assign_checkpoint(loaded.backbone, loaded.architecture, tensors, loaded.config)
    np.testing.assert_array_equal(states_of(loaded, family), plain)


def test_round_trip(family, loaded):
    written = backbone_tensors(loaded.backbone, loaded.architecture, loaded.config)
    prefix = loaded.architecture.prefix
    read = {name.removeprefix(prefix): one for name, one in tensors_of(family).items()}
    before = [np.array(one) for one in loaded.backbone.weights]
    assert set(written) <= set(read)
    if type(loaded.architecture).adapt is Architecture.adapt:
        for name, value in written.items():
            np.testing.assert_array_equal(value, read[name], name)
    for variable in loaded.backbone.weights:
        variable.assign(0 * variable)
    assign_checkpoint(loaded.backbone, loaded.architecture, written, loaded.config)
    for variable, value in zip(loaded.backbone.weights, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value, variable.path)


def test_every_weight(family, loaded):
    variables = variables_by_path(loaded.backbone)
    places = loaded.architecture.places_of(loaded.backbone)
    paths = [weight.path for place in places for weight in place.weights()]
    own = {path for path in variables if "seed_generator" not in path}
    assert set(paths) == own
    assert len(paths) == len(set(paths))
    assert len({place.name for place in places}) == len(places)


def test_targets(family, loaded):
    layers = loaded.backbone.num_layers
    pefts = LoRA(target=FAMILY_TABLE[family].targets)
    expected = pefts.places(loaded.architecture, layers)
    assert LoRA().places(loaded.architecture, layers) == expected
    adapter = LoRA(rank=2).apply(loaded.backbone, loaded.architecture, 0)
    assert len(adapter.injected) == len(expected) >= layers
    everywhere = LoRA(target=("all-linear",)).places(loaded.architecture, layers)
    assert everywhere == loaded.architecture.linear_places(layers)


def test_fast(family, loaded):
    slow = states_of(loaded, family)
    speed_up(loaded.backbone)
    with for_processor():
        fast = states_of(loaded, family)
    # float32 sums in another order; states are near 3.
    np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-5)


def test_packed(family, loaded):
    if family_exception(family, "packed"):
        with pytest.raises(ConfigError):
            wiring_of(loaded.backbone)
        return
    wiring, generator = wiring_of(loaded.backbone), np.random.default_rng(0)
    ids = [generator.integers(0, 90, size).astype("int32") for size in (7, 4, 6)]
    row = np.concatenate([*ids, np.zeros(2, "int32")])[None]
    places = np.concatenate([np.arange(size) for size in (7, 4, 6, 2)])[None]
    numbers = np.repeat([1, 2, 3, 0], (7, 4, 6, 2))[None]
    together = np.asarray(decoder_states(wiring, row, places, numbers))[0]
    alone = [
        loaded.backbone({"token_ids": one[None], "padding_mask": 0 * one[None] + 1})[0]
        for one in ids
    ]
    np.testing.assert_allclose(together[:17], np.concatenate(alone), 0, 1e-5)


class Steps:
    """One step of a task by a method, on one layer of a family."""

    def __init__(self, family, make_tokenizer):
        self.architecture = ARCHITECTURES.get(family)()
        config = json.loads((golden(family)[0] / "config.json").read_text())
        layers = ("num_hidden_layers", "n_layer", "n_layers")
        one_layer = {key: 1 for key in layers if key in config}
        # A window of three tokens would hide a prompt from the last token.
        whole = {"sliding_window": 32} if "sliding_window" in config else {}
        self.config = {**config, "vocab_size": 300, **one_layer, **whole}
        causal = self.architecture.causal
        self.tokenizer = make_tokenizer() if causal else word_piece(VOCABULARY)
        self.tasks = {}

    def task(self, name, pretrained):
        """Returns a task with its labels and a batch, made once."""
        if name not in self.tasks:
            task, _ = TASKS.resolve(name).suited_to(pretrained)
            rows = TASK_TABLE[name].rows
            table = Table.from_rows(rows[:3], "rows")
            labels = task.learn_labels(Table.from_rows(rows, "rows"))
            task, _ = task.learned_from(table, labels)
            examples = task.encode(table, self.tokenizer, labels).examples
            count = min(2, len(examples))
            batch = Batches(examples, count).batch(np.arange(count))
            self.tasks[name] = task, labels, batch
        return self.tasks[name]

    def run(self, method, tasks):
        keras.utils.set_random_seed(0)
        backbone = self.architecture.build(self.config)
        pretrained = load_pretrained(backbone, self.tokenizer, dropout=None)
        adapter = resolve(method).apply(backbone, self.architecture, 0)
        move(adapter)
        for name in tasks:
            task, labels, batch = self.task(name, pretrained)
            if unsuited(name, method) == "refused":
                with pytest.raises(ConfigError, match="language model"):
                    task.build(pretrained, labels, 0)
                continue
            network = task.build(pretrained, labels, 0)
            if unsuited(name, method):
                assert not network.trainable_variables
                continue
            model = TrainingModel(network, task.loss, clip_norm=1.0)
            optimizer = keras.optimizers.SGD(0.5)
            optimizer.build(model.trainable_variables)
            model.compile(optimizer=optimizer, jit_compile=False)
            weights = {id(one): one for one in network.weights}
            before = {key: np.array(one) for key, one in weights.items()}
            model.train_step(batch)
            changed = {
                key
                for key, one in weights.items()
                if not np.array_equal(before[key], np.array(one))
            }
            head = {id(one) for one in network.head_variables}
            allowed = {id(one) for one in adapter.trained} | head
            random = {key for key in weights if "seed" in weights[key].path}
            extra = changed - allowed - random
            assert not extra, [weights[key].path for key in extra]
            assert head <= changed
            if allowed - head:
                assert (allowed - head) & changed, (method, name)


def groups(pairs):
    found = {}
    for task, method in pairs:
        found.setdefault(method, []).append(task)
    return found


def test_one_step(family, make_tokenizer):
    steps = Steps(family, make_tokenizer)
    pairs = chosen(family)
    assert [task for task, _ in pairs] == tasks_of(family)
    used = {method for one in FAMILY_TABLE for _, method in chosen(one)}
    assert used == set(METHOD_TABLE)
    for method, tasks in groups(pairs).items():
        steps.run(method, tasks)
    for method in METHOD_TABLE:
        if refuses(family, method):
            backbone = steps.architecture.build(steps.config)
            with pytest.raises(ConfigError, match="bias"):
                resolve(method).apply(backbone, steps.architecture, 0)


@pytest.mark.slow
def test_one_step_of_every_combination(family, make_tokenizer):
    steps = Steps(family, make_tokenizer)
    for method, tasks in groups(combinations(family)).items():
        steps.run(method, tasks)
