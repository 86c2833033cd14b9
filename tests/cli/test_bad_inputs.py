"""Bad inputs: one line that says what, where, what was expected and the fix."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tfft.cli.main import main


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


TWO = '{"text": "a", "label": "x"}\n{"text": "b", "label": %s}\n'
# What is wrong, the arguments, the exit code, parts of the message.
DATA = [
    ("missing file", lambda b: b.tune(b.folder / "reviws.csv"),
     66, ["reviws.csv", "is not there", 'did you mean "reviews.csv"?']),
    ("spreadsheet", lambda b: b.bad_data("a.xlsx", b"PK"),
     65, ["ending in .xlsx", "a.xlsx", "expected one of: .csv", "as CSV in UTF-8"]),
    ("no text column", lambda b: b.bad_data("a.csv", "body,label\na,b\n"),
     65, ['column "text" is missing', "a.csv:1", "body, label", "with task.text"]),
    ("misspelt text", lambda b: b.good_with("--task.text", "txt"),
     65, ['column "txt" is missing', "reviews.csv:1", 'did you mean "text"?']),
    ("misspelt label", lambda b: b.good_with("--task.label=lable"),
     65, ['column "lable" is missing', 'did you mean "label"?']),
    ("empty file", lambda b: b.bad_data("a.csv", ""),
     65, ["file is empty", "a.csv:1", "fix: add"]),
    ("header only", lambda b: b.bad_data("a.csv", "text,label\n"),
     65, ["a header and no rows", "a.csv:1", "fix: add"]),
    ("empty texts", lambda b: b.bad_data("a.csv", b.good + ",neg\n  ,pos\n"),
     65, ["2 of 42 rows", 'empty text in column "text" (2)', "a.csv:42, ", "a.csv:43",
          "expected text and label", "on_bad_rows"]),
    ("empty label", lambda b: b.bad_data("a.csv", b.good + "some,\n"),
     65, ["1 of 41 rows", 'empty label in column "label" (1)', "a.csv:42"]),
    ("one class", lambda b: b.bad_data("a.csv", "text,label\na,x\nb,x\n"),
     65, ["only one class: all 2 rows are 'x'", "a.csv", "expected two labels"]),
    ("class only in test", lambda b: b.good_with(
        "--test", str(b.file("t.csv", "text,label\na,neg\nb,neutral\n"))),
     65, ["class 'neutral' of the test rows", "t.csv:3", "expected one of: neg, pos"]),
    ("bytes of Latin-1", lambda b: b.bad_data("a.csv", b.good.encode() + b"caf\xe9,n"),
     65, ["byte 0xe9 is not UTF-8", "byte 4", "a.csv:42", "save it as UTF-8"]),
    ("UTF-16", lambda b: b.bad_data("a.csv", b.good.encode("utf-16")),
     65, ["UTF-16", "a.csv:1", "save it as UTF-8"]),
    ("ragged row", lambda b: b.bad_data("a.csv", b.good + "a,b,c\n"),
     65, ["row has 3 cells", "a.csv:42", "expected 2", "put quotes around"]),
    ("open quote", lambda b: b.bad_data("a.csv", b.good + '"open,neg\n'),
     65, ["quote is opened", "a.csv:42", "close the quote"]),
    ("semicolons", lambda b: b.bad_data("a.csv", b.good.replace(",", ";")),
     65, ['"text" is missing', "a.csv:1", "delimited by semicolons", "with commas"]),
    ("invalid JSON", lambda b: b.bad_data("a.jsonl", TWO % "y"),
     65, ["invalid JSON at column 24", "a.jsonl:2", "one JSON object"]),
    ("duplicate key", lambda b: b.bad_data("a.jsonl", '{"text": 1, "text": 2}\n'),
     65, ["key 'text' appears twice", "a.jsonl:1", "fix: "]),
    ("NaN label", lambda b: b.bad_data("a.jsonl", TWO % "NaN"),
     65, ["NaN is not a finite number", "a.jsonl:2", "fix: "]),
    ("folder without train", lambda b: b.tune(b.file("set/test.csv", b.good).parent),
     66, ["no train file", "test.csv", "expected train.*", "name the file"]),
]  # fmt: skip
MODELS = [
    ("no config", lambda b: b.good_with(model=b.file("m/vocab.txt", "a").parent),
     66, ["without config.json", "expected config.json", "save_pretrained"]),
    ("no weights", lambda b: b.bad_model(lambda path: path.unlink()),
     66, ["without model.safetensors", "download the weights"]),
    ("pickle", lambda b: b.bad_model(lambda p: p.rename(p.with_suffix(".bin"))),
     66, ["without model.safetensors", "model.bin is a pickle", "save_pretrained"]),
    ("corrupt", lambda b: b.bad_model(cut_in_half),
     65, ["not a complete safetensors", "model.safetensors", "download it again"]),
    ("no such model", lambda b: b.good_with(model="bert_tiny_en_uncase"),
     66, ["'bert_tiny_en_uncase'", "expected a folder", '"bert_tiny_en_uncased"?']),
]  # fmt: skip
OPTIONS = [
    ("task", lambda b: b.good_with("--task", "text_clasification"),
     2, ["unknown task 'text_clasification'", "one of: ", '"text_classification"?']),
    ("method", lambda b: b.good_with("--method", "lorra"),
     2, ["'lorra'", "bitfit, bottleneck, full, head", 'did you mean "lora"?']),
    ("another library's option", lambda b: b.good_with("--save-steps=5"),
     2, ["unknown option --save-steps", "tfft finetune", "save_every"]),
    ("an option of the same name, another meaning",
     lambda b: b.good_with("--gradient_accumulation_steps", "5"),
     2, ["unknown option --gradient_accumulation_steps", "raise batch_size"]),
    ("an alias", lambda b: b.good_with("--num_train_epochs", "5"),
     2, ["unknown option --num_train_epochs", "use --epochs"]),
    ("option", lambda b: b.good_with("--epoch", "3"),
     2, ["unknown option --epoch", "tfft finetune", 'did you mean "--epochs"?']),
    ("method's option", lambda b: b.good_with("--method.rnak", "4"),
     2, ["rnak='4'", "LoRA", "expected one of: rank, ", 'did you mean "rank"?']),
    ("pattern", lambda b: b.good_with("--method.target", "qery"),
     2, ["'qery' matches no layer", "LoRA.target", 'did you mean "query"?']),
    ("rank", lambda b: b.good_with("--method.rank", "0"),
     2, ["rank=0", "LoRA", "expected 1 to 65536", "fix: change rank"]),
    ("epochs", lambda b: b.good_with("--epochs", "-1"),
     2, ["epochs=-1", "expected 1 or more", "fix: change epochs"]),
    ("rate", lambda b: b.good_with("--learning_rate", "abc"),
     2, ["'abc' has the wrong type", "FinetuneConfig.learning_rate", "expected "]),
    ("both", lambda b: b.good_with("--overwrite", "--resume"),
     2, ["overwrite=True and resume=True", "expected one of them", "overwrite"]),
    ("taken", lambda b: b.good_with(out=b.file("old/mine.txt", "x").parent),
     73, ["output_dir is not empty", "old", "expected a new", "choose another"]),
    ("no run", lambda b: b.good_with(
        "--overwrite", out=b.file("old/mine.txt", "x").parent),
     73, ["not a run", "expected a folder with run.json", "only removes its own"]),
    ("YAML key", lambda b: ["finetune", "--config", str(b.file("a.yaml", "epoch: 3"))],
     2, ["not given", "--data, --model, --output_dir", "fix: "]),
    ("YAML option", lambda b: b.good_with(
        "--config", str(b.file("a.yaml", "epoch: 3"))),
     2, ["unknown option epoch=3", "expected one of: model, ", '"epochs"?']),
    ("YAML twice", lambda b: b.good_with(
        "--config", str(b.file("a.yaml", "epochs: 3\nepochs: 4\n"))),
     2, ["'epochs' occurs twice", "a.yaml:2:1", "correct that line"]),
    ("no run to predict", lambda b: ["predict", str(b.folder), "hello"],
     66, ["no run in this folder", "run.json", "output_dir of a training"]),
    ("command", lambda b: ["predikt", "x"],
     2, ["'predikt'", "'finetune', 'estimate'", 'did you mean "predict"?']),
    ("no text to predict", lambda b: ["predict", str(b.folder)],
     2, ["nothing to predict", "expected texts, or --file", "tfft predict RUN"]),
    ("one argument more", lambda b: ["export", "run", "folder", "third"],
     2, ["one argument too many: third", "tfft export", "--help"]),
]  # fmt: skip
ALL = DATA + MODELS + OPTIONS


@pytest.mark.parametrize(
    ("make", "code", "parts"), [one[1:] for one in ALL], ids=[one[0] for one in ALL]
)
def test_one_line_says_what_is_wrong(box, capsys, make, code, parts):
    assert main(make(box)) == code
    error = capsys.readouterr().err
    ours = [line for line in error.splitlines() if not line.startswith(("I0", "WARN"))]
    assert len(ours) == 1
    assert ours[0].startswith("error: ")
    assert " · fix: " in ours[0]
    assert [part for part in parts if part not in ours[0]] == []
    assert not (box.folder / "run" / "run.json").exists()


@pytest.mark.parametrize("case", [DATA[0], DATA[7], OPTIONS[2]], ids=lambda one: one[0])
def test_a_process_ends_with_the_code_and_shows_a_traceback_on_demand(box, case):
    _, make, code, parts = case
    command = [sys.executable, "-m", "tfft", *make(box)]
    plain = subprocess.run(command, capture_output=True, text=True)
    assert (plain.returncode, plain.stdout) == (code, "")
    assert plain.stderr.count("\n") == 1
    assert plain.stderr.startswith("error: ")
    assert all(part in plain.stderr for part in parts)
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True)
    assert debug.returncode == code
    assert debug.stderr.startswith("Traceback (most recent call last)")
    assert debug.stderr.endswith(plain.stderr)
