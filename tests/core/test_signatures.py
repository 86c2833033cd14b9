"""Editors and `help` see every option: its type, its default and its description."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pydoc
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tfft
from tfft.core.config import aliases_of, field_types
from tfft.core.docstrings import descriptions
from tfft.core.foreign_names import FOREIGN_NAMES, foreign_name_fix
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.series_config import (
    CrossValidateConfig,
    LearningCurveConfig,
    RepeatConfig,
)
from tfft.generation.sampling import Sampling
from tfft.methods.method import METHODS
from tfft.serving.client.base import Patience
from tfft.serving.server.config import ServeConfig
from tfft.tasks.task import TASKS
from tfft.tuning.config import TuneConfig

ROOT = Path(__file__).resolve().parents[2]
# By verb: its own configuration class, and the defaults that differ from finetune's.
VERBS = {
    "finetune": (None, {}),
    "tune": (TuneConfig, {}),
    "repeat": (RepeatConfig, {}),
    "cross_validate": (CrossValidateConfig, {"test": 0}),
    "learning_curve": (LearningCurveConfig, {}),
    "estimate": (None, {"output_dir": None}),
    "recommend": (None, {"output_dir": None}),
}
CLASSES = [
    *map(TASKS.get, TASKS.names()),
    *map(METHODS.get, METHODS.names()),
    FinetuneConfig, TuneConfig, RepeatConfig, CrossValidateConfig, LearningCurveConfig,
    Sampling, Patience, ServeConfig,
]  # fmt: skip


def defaults_of(*classes):
    """Returns each field's default, without the code under test."""
    found = {}
    for field in (field for cls in classes for field in dataclasses.fields(cls)):
        found[field.name] = inspect.Parameter.empty
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_all_options_as_parameters(verb):
    own, changed = VERBS[verb]
    classes = (FinetuneConfig, own) if own else (FinetuneConfig,)
    found = inspect.signature(getattr(tfft, verb)).parameters
    assert {name: one.default for name, one in found.items()} == {
        **defaults_of(*classes),
        **changed,
    }
    types = {name: kind for cls in classes for name, kind in field_types(cls).items()}
    assert {name: one.annotation for name, one in found.items()} == types
    assert {one.kind for one in found.values()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("verb", VERBS)
def test_help_describes_every_option_of_a_verb(verb):
    own, changed = VERBS[verb]
    shown = pydoc.plain(pydoc.render_doc(getattr(tfft, verb)))
    listed = textwrap.dedent(shown[shown.index("Args:") :]).split("Raises:")[0]
    described = descriptions(FinetuneConfig) | (descriptions(own) if own else {})
    for name, text in described.items():
        assert f"    {name}: " in listed
        if name not in changed:
            assert " ".join(text.split()) in " ".join(listed.split())
    assert "**options" not in shown


@pytest.mark.parametrize("function", [tfft.generate, tfft.Run.generate])
def test_generating_shows_its_own_parameters_and_those_of_sampling(function):
    found = inspect.signature(function).parameters
    wanted = {**defaults_of(Sampling), "batch_size": 16, "stream": False}
    assert {name: found[name].default for name in wanted} == wanted
    assert set(found) - set(wanted) <= {"self", "model", "prompts", "task", "tokenizer"}
    shown = inspect.getdoc(function)
    assert all(f"    {name}: " in shown for name in wanted)
    assert "**options" not in shown


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_class_shows_its_fields_and_describes_each(cls):
    found = inspect.signature(cls).parameters
    assert {name: one.default for name, one in found.items()} == defaults_of(cls)
    assert {name: one.annotation for name, one in found.items()} == field_types(cls)
    assert list(inspect.signature(cls.__init__).parameters) == ["self", *found]
    listed = " ".join(inspect.cleandoc(cls.__doc__).split())
    for name in found:
        assert f" {name}: " in listed, f"{cls.__name__} does not describe {name}"


def test_every_public_configuration_class_is_in_the_table():
    public = [getattr(tfft, name) for name in tfft.__all__]
    classes = {one for one in public if isinstance(one, type)}
    assert {one for one in classes if hasattr(one, "_aliases")} <= set(CLASSES)


@pytest.mark.parametrize("name", sorted(FOREIGN_NAMES))
def test_a_foreign_name_has_no_option_of_that_name_in_finetune(name):
    assert name not in field_types(FinetuneConfig)
    assert name not in aliases_of(FinetuneConfig)
    with pytest.raises(tfft.TfftError) as caught:
        FinetuneConfig(model="m", data="d", output_dir="o", **{name: 1})
    assert caught.value.fix == foreign_name_fix(name)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("gradient_accumulation_steps", "raise batch_size"),
        ("save_steps", "save_every"),
        ("eval_strategy", "each epoch ends with a validation"),
        ("max_seq_length", "max_length, an option of the task"),
        ("lora_rank", "rank, an option of the method"),
        ("global_clipnorm", "clip_norm"),
    ],
)
def test_a_foreign_name_gets_the_option_that_does_the_same(name, answer):
    assert answer in foreign_name_fix(name)


def test_answers_name_options_that_there_are():
    """Each `use X`, and each option of a method or a task that an answer shows."""
    for name, answer in FOREIGN_NAMES.items():
        if not answer.startswith("use "):
            continue
        if ", an option of the " in answer:
            noun = "method" if "of the method" in answer else "task"
            shown = answer.split(f"{noun}=")[1].split(", or")[0]
            spec = json.loads(shown.replace("…", "0"))
            registry = {"method": METHODS, "task": TASKS}[noun]
            known = field_types(registry.get(spec.pop("name")))
            assert set(spec) <= set(known), name
        else:
            option = answer.removeprefix("use ").split(",")[0].split("=")[0]
            tune = field_types(TuneConfig)
            assert option in field_types(FinetuneConfig) | tune or " " in option, name


USE = """
import tfft

tfft.finetune(model="a", data="b", output_dir="c", epochs=3, no_decay=["x"])
tfft.tune(model="a", data="b", output_dir="c", space={}, max_trials=3)
tfft.estimate(model="a", data="b")
tfft.recommend(model="a", data="b")
tfft.repeat(model="a", data="b", output_dir="c", seeds=[1, 2])
tfft.cross_validate(model="a", data="b", output_dir="c", folds=3)
tfft.learning_curve(model="a", data="b", output_dir="c", sizes=[10, 20])
tfft.LoRA(rank=4, target="query,value", layers_to_transform=[1, 2])
tfft.TextClassification(text=["a", "b"], pooling="mean")
tfft.finetune(model="a", data="b", output_dir="c").metrics
tfft.finetune(model="a", data="b", output_dir="c", epochs="three")  # wrong type
tfft.finetune(model="a", data="b")  # without output_dir
tfft.finetune(model="a", data="b", output_dir="c", epoch=3)  # unknown option
tfft.tune(model="a", data="b", output_dir="c")  # without space
tfft.LoRA(ranks=4)  # unknown option
tfft.TextClassification(pooling="sum")  # unknown value
"""


def test_a_type_checker_knows_the_options(tmp_path):
    """Exactly the lines with a comment are errors, so editors complete the options."""
    pytest.importorskip("basedpyright")
    (tmp_path / "use.py").write_text(USE)
    settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "basic"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "use.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = [one["range"] for one in found if one["severity"] == "error"]
    lines = {one["start"]["line"] for one in errors}
    wanted = {i for i, line in enumerate(USE.splitlines()) if "  # " in line}
    assert lines == wanted, found
