"""Exports for transformers, whose answers transformers itself has given.

Each folder of tests/goldens/exports holds a small run, what it exported, and what
pipelines of transformers and Sentence Transformers answered from that to 50 inputs:
tools/check_transformers.py --goldens makes them.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfft
from tests.goldens import ROOT

EXPORTS = sorted(path for path in (ROOT / "exports").iterdir() if path.is_dir())
TOLERANCE = 2e-5  # float32 in two libraries, over 50 inputs


@pytest.fixture(scope="module", params=EXPORTS, ids=lambda path: path.name)
def case(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("case") / "run"
    shutil.copytree(request.param / "run", folder)
    return request.param, tfft.load(folder)


def read(path):
    return json.loads(path.read_text())


def numbers(answer):
    if "value" in answer:
        return [answer["value"]]
    return list(answer["probabilities"].values())


def test_the_run_answers_as_transformers_did(case):
    folder, run = case
    told, expected = read(folder / "case.json"), read(folder / "transformers.json")
    inputs = [one if isinstance(one, str) else tuple(one) for one in told["inputs"]]
    assert len(inputs) == len(expected) == 50
    if told["task"] == "causal_lm":
        answers = [one.text for one in run.generate(inputs, max_new_tokens=8)]
        assert answers == expected
        return
    answers = run.predict(inputs)
    if told["task"] == "token_classification":
        assert [one["tags"] for one in answers] == expected
    elif told["task"] == "question_answering":
        assert [one["answer"] for one in answers] == expected
    else:
        found = [numbers(one) for one in answers]
        np.testing.assert_allclose(found, expected, TOLERANCE, TOLERANCE)
    # A model that says the same of everything would prove little.
    assert len({str(one) for one in expected}) > 5


def test_the_export_is_the_one_that_transformers_read(case, tmp_path):
    folder, run = case
    run.export_huggingface(tmp_path / "out")
    expected, found = folder / "exported", tmp_path / "out"
    names = sorted(str(one.relative_to(expected)) for one in expected.rglob("*.*"))
    assert sorted(str(one.relative_to(found)) for one in found.rglob("*.*")) == names
    for name in names:
        if name.endswith(".safetensors"):
            tensors, wanted = load_file(found / name), load_file(expected / name)
            assert tensors.keys() == wanted.keys()
            for key, tensor in wanted.items():
                assert tensors[key].dtype == tensor.dtype
                # The two layers of a head come from a decomposition in float64.
                np.testing.assert_allclose(tensors[key], tensor, 1e-5, 1e-6, key)
        elif name.endswith(".json"):
            assert read(found / name) == read(expected / name), name
        else:
            assert (found / name).read_text() == (expected / name).read_text()
