import importlib.util
from pathlib import Path

import pytest

import tfft

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
# Each example with the arguments of its smoke run, and what it must print.
SMOKE = {
    "instruction_tuning.py": "held-out loss",
    "query_saved_model.py": None,
    "question_answering.py": "exact_match",
    "text_classification.py": "probabilities",
    "token_classification.py": "word_weighted_f1",
}


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_run():
    assert [path.name for path in EXAMPLES] == sorted(SMOKE)


# Below, it runs with all its options.
AGAIN = {"instruction_tuning.py": [pytest.mark.slow]}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=AGAIN.get(name, []))
        for name, text in SMOKE.items()
        if text
    ],
)
def test_smoke_run(name, tmp_path, capsys):
    path = next(path for path in EXAMPLES if path.name == name)
    load(path).main(["--smoke", "--output_dir", str(tmp_path / "run")])
    assert SMOKE[name] in capsys.readouterr().out


def test_instructions_and_prompts_by_the_mean_of_two_seeds(tmp_path, capsys):
    path = next(path for path in EXAMPLES if path.name == "instruction_tuning.py")
    folder = tmp_path / "runs"
    options = ["--output_dir", str(folder), "--seeds", "1", "2", "--epochs", "1"]
    options += ["--train_on_prompt", "--export", str(tmp_path / "merged")]
    load(path).main(["--smoke", *options])
    assert "held-out loss" in capsys.readouterr().out
    assert {one.name for one in folder.iterdir()} == {"seed-1", "seed-2", "soup"}
    assert tfft.load(folder / "soup").task.train_on_prompt
    assert (tmp_path / "merged" / "answers.json").is_file()


def test_query_saved_model(tiny_run, tmp_path, capsys):
    version = tiny_run.export(tmp_path / "model")
    path = next(path for path in EXAMPLES if path.name == "query_saved_model.py")
    load(path).main([str(version), "good abc", "bad abc"])
    answers = tiny_run.predict(["good abc", "bad abc"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [one["label"] for one in answers]
