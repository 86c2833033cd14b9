"""The commands on a language model, as small as can be."""

from __future__ import annotations

import json

import keras
import keras_hub
import pytest

import tfft
from tests.goldens import ROOT
from tfft.cli.main import main
from tfft.evaluation.tables import printable
from tfft.models.tokenizer_files import read_tokenizer

ROWS = [{"prompt": f"{i} ab", "completion": " c" * (i + 1)} for i in range(6)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(0)
    tokenizer = read_tokenizer(ROOT / "gpt2-tokenizer")
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=tokenizer.vocabulary_size, num_layers=1, num_heads=2,
        hidden_dim=16, intermediate_dim=16, max_sequence_length=256, dropout=0.0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("gpt2") / "model"
    return tfft.export_huggingface(backbone, folder, tokenizer)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture(scope="module")
def run(model, data, tmp_path_factory):
    return tfft.finetune(
        model=model,
        data=data,
        task="causal_lm",
        output_dir=tmp_path_factory.mktemp("run") / "run",
        epochs=1,
        validation=0,
        test=0,
        precision="float32",
        verbose=0,
    )


def test_predict_prints_what_the_model_writes(run, data, capsys):
    expected = [
        {"completion": one.text, "finish": one.finish}
        for one in run.generate(["0 ab", "1 ab"])
    ]
    capsys.readouterr()
    words = ["predict", str(run.folder), "0 ab", "1 ab"]
    assert main([*words, "--json"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in shown] == expected
    assert main(words) == 0
    table = capsys.readouterr().out
    assert "completion" in table
    cells = [line.split("│")[2] for line in table.splitlines() if "│" in line]
    written = printable("".join(one["completion"] for one in expected))
    assert "".join("".join(cells).split()) == "".join(written.split())
    assert main(["predict", str(run.folder), "--file", str(data), "--json"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in shown[:2]] == expected
    assert len(shown) == len(ROWS)


def test_inspect_a_model_whose_backbone_knows_no_limit(tmp_path, capsys):
    tokenizer = read_tokenizer(ROOT / "gpt2-tokenizer")
    backbone = keras_hub.models.LlamaBackbone(
        vocabulary_size=tokenizer.vocabulary_size, num_layers=1, num_query_heads=2,
        hidden_dim=16, intermediate_dim=16, num_key_value_heads=1,
    )  # fmt: skip
    folder = tfft.export_huggingface(backbone, tmp_path / "llama", tokenizer)
    limit = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
    assert main(["inspect", "--model", str(folder)]) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.replace("│", " ").splitlines()]
    assert ["longest", "input", f"{limit:,}", "tokens"] in lines
    assert ["layers.N.attention.query", "layers.N.self_attn.q_proj"] in lines


def test_inspect_shows_the_lengths_of_rows_not_of_packs(model, data, capsys):
    words = ["inspect", str(data), "--task", "causal_lm", "--model", str(model)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.replace("│", " ").splitlines()]
    tokenizer = read_tokenizer(ROOT / "gpt2-tokenizer")
    longest = f"{ROWS[-1]['prompt']}{ROWS[-1]['completion']}"
    most = len(tokenizer.encode([longest], None, 999)[0].token_ids)
    (tokens,) = [line for line in lines if line[:1] == ["tokens"]]
    # The end of the text is a token as well.
    assert tokens[4] == str(most + 1)
    assert sum(line[:1] == ["prompt_completion"] for line in lines) == 1 + 3
