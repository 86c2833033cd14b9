"""Runs and an export of an older tfft load today, and answer as they did then.

`tools/make_run_goldens.py` made the folders with the code of the commit that
`answers.json` names. Where processor and libraries are those of that day, every number
must have the same bits; elsewhere sums of float32 differ in their order.
"""

from __future__ import annotations

import json
import tarfile

import pytest

import tfft
from tests.goldens import ROOT
from tests.goldens.old_runs import processor
from tfft.serving import verification

GOLDEN = ROOT / "old-runs"
KEPT = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))
# Measured: 2e-8 with AVX2 alone, 1e-7 without oneDNN, relative for values above 1.
TOLERANCE = 0.0 if KEPT["processor"] == processor() else 1e-6


def differences(found, expected, where=""):
    """Returns the places where two JSON values differ by more than the tolerance."""
    if isinstance(expected, dict):
        if not isinstance(found, dict) or found.keys() != expected.keys():
            return [where]
        pairs = [(found[key], one, key) for key, one in expected.items()]
    elif isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return [where]
        pairs = [(*pair, i) for i, pair in enumerate(zip(found, expected, strict=True))]
    elif isinstance(expected, float):
        limit = TOLERANCE * max(1.0, abs(expected))
        near = isinstance(found, float) and abs(found - expected) <= limit
        return [] if near else [f"{where}: {found!r} is not {expected!r}"]
    else:
        return [] if found == expected else [f"{where}: {found!r} is not {expected!r}"]
    return [
        line for *pair, key in pairs for line in differences(*pair, f"{where}/{key}")
    ]


def plain(value):
    """Returns a value as JSON has it; floats keep all their bits."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("name", KEPT["runs"])
def test_a_run_of_an_older_tfft_answers_the_same(name):
    expected = KEPT["runs"][name]
    model = None if name == "causal_lm" else GOLDEN / "bert"  # that run keeps its base
    run = tfft.load(GOLDEN / name, model=model)
    if name == "causal_lm":
        told = run.generate(
            expected["inputs"], max_new_tokens=expected["max_new_tokens"]
        )
        found = [
            {"text": one.text, "token_ids": [*map(int, one.token_ids)],
             "finish": one.finish} for one in told
        ]  # fmt: skip
    else:
        found = run.predict(expected["inputs"])
    # A model that says the same of everything would prove little.
    assert len({json.dumps(one) for one in expected["answers"]}) > 2
    assert differences(plain(found), expected["answers"]) == []
    metrics = run.evaluate(expected["rows"]).metrics
    assert differences(plain(metrics), expected["metrics"]) == []


def test_an_export_of_an_older_tfft_answers_the_same(tmp_path):
    with tarfile.open(GOLDEN / "export.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    asked, expected = (KEPT["export"][name] for name in ("questions", "answers"))
    found = verification.ask_outside(tmp_path / "1", asked).answers
    assert differences(plain(found), expected) == []
    run = tfft.load(GOLDEN / "text_classification", model=GOLDEN / "bert")
    texts = asked[1]["inputs"]["text"]
    verification.check_tokens(run.built.pretrained.tokenizer, texts, found[1:])
    served = run.task.served(run.labels).read(found[0])
    told = run.predict(texts)
    assert [one["label"] for one in served] == [one["label"] for one in told]
