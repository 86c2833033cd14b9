"""The rules of `recommend`, one by one, and `method="auto"`."""

from __future__ import annotations

import dataclasses

import pytest

import tfft
from tfft.core.errors import OutOfMemoryError
from tfft.fitting.auto_rules import Facts, choose

SMALL = Facts(
    rows=5_000, parameters=22_000_000, memory=8 * 10**9, cores=2, accelerator=False
)


def chosen(**changes):
    return choose(dataclasses.replace(SMALL, **changes))


@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({"rows": 49}, {"name": "head"}),
        ({"rows": 50}, {"name": "lora", "rank": 4}),
        ({"rows": 999}, {"name": "lora", "rank": 4}),
        ({"rows": 1_000}, {"name": "lora", "rank": 8, "target": "all-linear"}),
        ({"rows": 20_000}, {"name": "lora", "rank": 16, "target": "all-linear"}),
        ({"rows": 20_000, "cores": 4}, {"name": "full"}),
        ({"rows": 19_999, "cores": 4}, {"name": "lora", "rank": 8}),
        ({"rows": 20_000, "accelerator": True}, {"name": "full"}),
        # 24 bytes a weight, 528 MB: more than half of a gigabyte.
        ({"rows": 20_000, "cores": 4, "memory": 10**9}, {"name": "lora", "rank": 16}),
        (
            {"rows": 20_000, "cores": 4, "parameters": 60_000_000},
            {"name": "lora", "rank": 16},
        ),
    ],
    ids=str,
)
def test_rows_model_memory_and_cores_decide_the_method(changes, method):
    found = chosen(**changes).options["method"]
    assert found == {**found, **method}


def test_a_frozen_backbone_has_no_dropout():
    assert chosen().options["backbone_dropout"] == 0.0
    assert "backbone_dropout" not in chosen(rows=20_000, cores=4).options


def test_short_memory_asks_for_pieces():
    # 22 million weights take 88 MB; six times that is 528 MB.
    short = chosen(memory=527 * 10**6)
    assert short.options["batch_size"] == "auto"
    assert "memory is short" in short.reason
    assert "batch_size" not in chosen(memory=528 * 10**6).options


def test_a_model_that_does_not_fit_is_told():
    with pytest.raises(OutOfMemoryError, match=r"0.1 GB.*choose a smaller model"):
        chosen(memory=87 * 10**6)


def test_the_reason_names_the_rows():
    assert "5,000 rows are enough" in str(chosen())


def test_auto_trains_what_is_recommended_but_for_what_is_said(
    bert_folder, make_rows, tmp_path, capsys
):
    options = {
        "model": bert_folder,
        "data": make_rows(40),
        "epochs": 1,
        "precision": "float32",
    }
    assert tfft.recommend(**options).options["method"] == {"name": "head"}
    run = tfft.finetune(
        method="auto", backbone_dropout=0.1, output_dir=tmp_path / "run", **options
    )
    assert run.record["method"] == {"name": "head"}
    assert run.record["config"]["backbone_dropout"] == 0.1
    assert "auto: " in capsys.readouterr().out
    again = tfft.finetune(
        method="auto", output_dir=tmp_path / "run", resume=True, **options
    )
    assert again.metrics == run.metrics
