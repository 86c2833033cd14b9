"""LiteRT and ONNX: ids in, numbers out, as the run has them."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from tokenizers import Tokenizer

import tfft
from tests.fixtures.bert import tiny_backbone
from tests.fixtures.rows import CASES
from tfft.core.errors import ConfigError, MissingInputError, OutputInUseError, TfftError
from tfft.runs.predictor import Predictor
from tfft.serving import outside_tensors, verification

TEXTS = ["good abc", "bad abc 1", "good " * 60]


@pytest.fixture(scope="module")
def wide_run(tiny_run, make_rows, tmp_path_factory):
    """LiteRT leaves matrices of fewer than 1,024 values as they are."""
    return tfft.finetune(
        model=tiny_backbone(hidden_dim=64, intermediate_dim=128),
        tokenizer=tiny_run.built.pretrained.tokenizer,
        data=make_rows(40),
        task={"name": "text_classification", "pooling": "mean"},
        output_dir=tmp_path_factory.mktemp("wide") / "run",
        method="head",
        epochs=1,
        precision="float32",
        verbose=0,
    )


@pytest.fixture(scope="module")
def exported(wide_run, make_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")

    def export(dtype):
        path = folder / dtype
        if not path.exists():
            options = {"format": "litert", "dtype": dtype}
            assert wide_run.export(path, make_rows(64), **options) == path
        return path

    return export


def probabilities(folder, texts, file="model.tflite"):
    """Asks as an app would: the tokenizer's ids, then the runtime."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    length = json.loads((folder / "tfft.json").read_text())["max_length"]
    tokenizer.enable_truncation(length)
    questions = []
    for text in texts:
        one = tokenizer.encode(text)
        named = {"token_ids": one.ids, "segment_ids": one.type_ids,
                 "padding_mask": one.attention_mask}  # fmt: skip
        questions.append({name: [ids] for name, ids in named.items()})
    answers = outside_tensors.ask(str(folder / file), questions)
    return np.array([one["probabilities"][0] for one in answers])


@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [
        ("float32", 0, 1e-5),
        pytest.param("float16", 1e-7, 5e-3, marks=pytest.mark.slow),
        ("int8", 1e-6, 5e-2),
    ],
)
def test_litert_answers_as_the_run(dtype, least, most, wide_run, exported, capsys):
    folder = exported(dtype)
    shown = capsys.readouterr().out
    found = probabilities(folder, TEXTS)
    expected = [list(a["probabilities"].values()) for a in wide_run.predict(TEXTS)]
    assert least <= np.abs(found - expected).max() <= most
    details = json.loads((folder / "tfft.json").read_text())
    assert details["inputs"] == list(wide_run.model.input)
    assert details["dtype"] == dtype
    assert details["proof"]["rows"] == 9 + 64
    assert f"within {details['proof']['difference']:.1e}" in shown
    assert (folder / "labels.txt").read_text() == "neg\npos\n"
    said = f"{dtype}: same answer as the run on "
    assert said in shown
    assert said in (folder / "README.md").read_text()


def test_matrices_in_fewer_bits_take_less_room(exported):
    sizes = [(exported(one) / "model.tflite").stat().st_size
             for one in ("int8", "float32")]  # fmt: skip
    assert sizes[0] < 0.6 * sizes[1]


def test_the_run_is_what_it_was(wide_run, exported):
    before = wide_run.predict(TEXTS)
    exported("float32")
    traced_again = Predictor(wide_run.built, wide_run.task, wide_run.labels)
    assert traced_again.predict(TEXTS) == before


@pytest.mark.outside
def test_a_process_without_tfft_is_asked(tiny_run, tmp_path):
    folder = tiny_run.export(tmp_path / "lite", format="litert")
    assert (folder / "model.tflite").is_file()


def test_nothing_is_written_when_it_differs(tiny_run, monkeypatch, tmp_path):
    right = verification.ask_script

    def wrong(*given):
        answers = right(*given)
        answers[3]["probabilities"][0][0] += 1e-3
        return answers

    monkeypatch.setattr(verification, "ask_script", wrong)
    with pytest.raises(TfftError, match=r"differs from the run by 1\.0e-03"):
        tiny_run.export(tmp_path / "lite", format="litert")
    assert list(tmp_path.iterdir()) == []


def test_operations_that_litert_lacks_are_named():
    import tensorflow as tf

    from tfft.serving.formats import to_litert
    from tfft.tasks.endpoint import Endpoint

    inputs = {"x": ((None, 3), "float32")}
    endpoint = Endpoint(inputs, lambda x: {"y": tf.math.erf(x)})
    with pytest.raises(TfftError, match=r"LiteRT does not support: .*Erf"):
        to_litert(endpoint, "float32")


def test_what_cannot_be_exported_so(tiny_run, train, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(OutputInUseError):
        tiny_run.export(tmp_path / "taken", format="litert")
    with pytest.raises(ConfigError, match=r"dtype='bfloat16'.*float16, int8"):
        tiny_run.export(tmp_path / "x", format="litert", dtype="bfloat16")
    with pytest.raises(ConfigError, match="causal_lm as litert"):
        train().export(tmp_path / "x", format="litert")


def test_onnx_names_its_extra(tiny_run, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not installed
    with pytest.raises(MissingInputError, match=r'pip install "tfft\[onnx\]"'):
        tiny_run.export(tmp_path / "x", format="onnx")


@pytest.mark.parametrize("made", ["tiny_run", "wide_run"])  # erf and tanh GELU
def test_onnx_answers_as_the_run(made, request, tmp_path):
    run = request.getfixturevalue(made)
    folder = run.export(tmp_path / "onnx", format="onnx")
    found = probabilities(folder, TEXTS, "model.onnx")
    expected = [list(a["probabilities"].values()) for a in run.predict(TEXTS)]
    assert np.abs(found - expected).max() <= 1e-5


def test_onnx_has_no_erfc_but_its_values():
    import onnx
    import tensorflow as tf
    from scipy import special

    from tfft.serving.formats import to_onnx
    from tfft.tasks.endpoint import Endpoint

    inputs = {"x": ((None,), "float32")}
    gelu = Endpoint(inputs, lambda x: {"y": tf.nn.gelu(x, approximate=False)})
    content = to_onnx(gelu, "float32")
    nodes = {node.op_type for node in onnx.load_from_string(content).graph.node}
    assert "Erf" in nodes
    assert "Erfc" not in nodes
    import onnxruntime

    session = onnxruntime.InferenceSession(content)
    x = np.linspace(-9, 9, 1801, dtype="float32")
    [found] = session.run(None, {"x": x})
    np.testing.assert_allclose(found, x * special.ndtr(x), rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["litert", "onnx"])
@pytest.mark.parametrize("name", CASES)
def test_every_task_on_texts(name, form, tune, tmp_path):
    run = tune(task=name, data=CASES[name][0], method="lora", learning_rate=1e-2)
    folder = run.export(tmp_path / "out", format=form)
    assert json.loads((folder / "tfft.json").read_text())["proof"]["agreement"] == 1
