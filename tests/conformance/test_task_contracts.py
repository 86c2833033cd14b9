"""The contracts of every task, on a tiny random model."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.task_table import TASK_CONTRACTS, TASK_TABLE, task_exception
from tests.fixtures.bert import VOCABULARY, tiny_backbone
from tfft.core.config import to_dict
from tfft.core.errors import ConfigError, DataError
from tfft.data.batching import Batches
from tfft.data.rows import without_bad_rows
from tfft.data.table import Table
from tfft.evaluation.report import REPORTS
from tfft.methods.method import METHODS
from tfft.models.pretrained import load_pretrained
from tfft.models.tokenizer_files import word_piece
from tfft.runs.build import build
from tfft.runs.predictor import Predictor
from tfft.serving.text_to_ids import TextToIds
from tfft.tasks.task import TASKS

TOLERANCE = 1e-5  # float32 sums of a two-layer model, in another order


@dataclasses.dataclass(frozen=True)
class Case:
    """A task that has learned its labels, on a network with a random head."""

    entry: object
    task: object
    table: Table
    labels: tuple
    predictor: Predictor

    @property
    def tokenizer(self):
        return self.predictor.built.pretrained.tokenizer

    def encoded(self, table=None):
        return self.task.encode(table or self.table, self.tokenizer, self.labels)

    def predicted(self, table):
        """What the network says of rows, in a form that compares."""
        predictions = self.predictor.predictions(table)
        if self.task.generates:
            return predictions.tolist()
        return self.task.answers(predictions, table, self.labels)


@pytest.fixture(scope="module")
def cases():
    return {}


@pytest.fixture(params=TASK_TABLE)
def case(request, cases, make_decoder, make_tokenizer):
    name = request.param
    if name not in cases:
        entry = TASK_TABLE[name]
        if entry.decoder:
            pretrained = load_pretrained(make_decoder(), make_tokenizer())
        else:
            pretrained = load_pretrained(tiny_backbone(), word_piece(VOCABULARY))
        task, _ = TASKS.resolve(name, entry.options).suited_to(pretrained)
        table = Table.from_rows(entry.rows, "rows")
        labels = task.learn_labels(table)
        task, _ = task.learned_from(table, labels)
        built = build(task, METHODS.resolve("full"), pretrained, labels, 0)
        generator = np.random.default_rng(0)
        for variable in built.network.head_variables:
            variable.assign(generator.normal(0, 0.5, variable.shape))
        predictor = Predictor(built, task, labels)
        cases[name] = Case(entry, task, table, labels, predictor)
    return cases[name]


def assert_same(found, expected):
    """Numbers within the tolerance, everything else equal."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)
    else:
        assert found == expected


def test_every_registered_task_has_an_entry_and_every_contract_a_test():
    assert sorted(TASK_TABLE) == TASKS.names()
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [one for one in TASK_CONTRACTS if f"def test_{one}(" not in tests] == []


def test_same_ids(case):
    tokenizer, rows = case.tokenizer, range(len(case.table))
    one, other = case.encoded(), case.encoded()
    assert one.examples.sequences == other.examples.sequences
    assert one.row_lengths == pytest.approx(other.row_lengths)
    for row in rows:
        alone = case.task.encode(case.table.select([row]), tokenizer, case.labels)
        assert list(alone.row_lengths) == [one.row_lengths[row]]


def losses(case, examples, rows):
    """Returns loss and weight of each of some examples in one batch."""
    network = case.predictor.model
    batch = Batches(examples, len(rows)).batch(np.array(rows))
    outputs = network({name: batch[name] for name in network.input}, training=False)
    found = []
    for index in range(len(rows)):
        weights = np.zeros(len(rows), "float32")
        weights[index] = 1
        loss = case.task.loss(outputs, {**batch, "weights": weights})
        found.append([float(one) for one in loss])
    return found


def test_loss_alone(case):
    examples = case.encoded().examples
    together = losses(case, examples, range(len(examples)))
    alone = [losses(case, examples, [row])[0] for row in range(len(examples))]
    np.testing.assert_allclose(together, alone, rtol=TOLERANCE, atol=TOLERANCE)
    assert np.ptp([loss for loss, _ in alone]) > 1e-3 or len(alone) == 1
    rows = case.predicted(case.table)
    for index, row in enumerate(rows):
        assert_same(case.predicted(case.table.select([index])), [row])


def test_perfect(case):
    encoded, best = case.encoded(), case.entry.scores
    outputs = case.entry.perfect(encoded, case.labels)
    compared = (
        case.task.decode(outputs, encoded, case.table, case.labels),
        case.task.gold(case.table, case.labels),
        case.labels,
    )
    scores = REPORTS.get(case.task.evaluation).make(*compared).metrics
    expected = {name: pytest.approx(one, abs=1e-6) for name, one in best.items()}
    assert {name: scores[name] for name in best} == expected


def test_answers(case):
    if task_exception(case.task.name, "answers"):
        with pytest.raises(ConfigError, match=r"generate\(prompts\)"):
            case.task.answers(None, case.table, case.labels)
        return
    answers = case.predicted(case.table)
    assert len(answers) == len(case.table)
    assert json.loads(json.dumps(answers)) == answers
    assert {type(one) for one in answers} == {dict}
    assert len({tuple(one) for one in answers}) == 1  # the same keys in each


def test_served(case):
    task, predictor = case.task, case.predictor
    served = task.served(case.labels)
    to_ids = TextToIds(case.tokenizer, task.max_length, task.tail_tokens)
    endpoints = served.endpoints(predictor.model, to_ids)
    assert {"serving_default", "serving_tensors"} <= set(endpoints)
    tryout = served.tryout(predictor, case.entry.texts)
    endpoint, given = endpoints[tryout.signature], []
    columns = dict(enumerate(zip(*tryout.rows, strict=True)))
    for index, (name, (_, kind)) in enumerate(endpoint.inputs.items()):
        values = columns.get(index)
        if values is None:
            values = [tryout.options[name]] * len(tryout.rows)
        given.append(tf.constant(values, kind))
    signature = [tf.TensorSpec(*one, name) for name, one in endpoint.inputs.items()]
    graph = tf.function(endpoint.answer, input_signature=signature, autograph=False)
    outputs = graph(*given)
    arrays = {name: value.numpy() for name, value in outputs.items()}
    assert_same(served.read(arrays), list(tryout.expected))


def test_labels(case):
    rows = list(range(len(case.table)))[::-1]
    assert case.task.learn_labels(case.table.select(rows)) == case.labels
    if task_exception(case.task.name, "labels"):
        assert case.labels == ()
        return
    case.task.check_labels(case.table, case.labels, "validation")
    unseen = Table.from_rows([case.entry.rows[0], case.entry.unseen], "rows")
    with pytest.raises(DataError) as caught:
        case.task.check_labels(unseen, case.labels, "validation")
    assert "row 2" in str(caught.value.where)


def test_options(case):
    name = case.task.name
    for task in (TASKS.resolve(name), TASKS.resolve(name, case.entry.options)):
        plain = json.loads(json.dumps({"name": name, **to_dict(task)}))
        assert TASKS.resolve(plain) == task
    learned = json.loads(json.dumps({"name": name, **to_dict(case.task)}))
    assert TASKS.resolve(learned) == case.task
    assert TASKS.resolve(name) != case.task


def test_bad_rows(case):
    good, bad = case.entry.rows, case.entry.bad
    table = Table.from_rows([good[0], *bad, good[1]], "rows")
    found = case.task.bad_rows(table)
    assert sorted({one.row for one in found}) == [1, 2]
    assert all(one.reason for one in found)
    with pytest.raises(DataError) as caught:
        without_bad_rows(table, found, "error")
    assert "row 2" in str(caught.value.where)
    assert "row 3" in str(caught.value.where)
    assert case.task.bad_rows(case.table) == []


def test_names(case):
    task, name = case.task, case.task.name
    assert type(task).__module__ == f"tfft.tasks.{name}"
    report = task.evaluation  # of its own name, or one that exists already
    assert REPORTS.get(report).__module__ == f"tfft.evaluation.{report}"
    network = inspect.getmodule(type(case.predictor.model)).__name__
    assert network.startswith("tfft.tasks.networks.")
