"""Fixtures that many tests share: one tiny model, one tiny run, made on the spot."""

import json
import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from safetensors.numpy import save_file

# Before any test imports TensorFlow, so that all of them compute with the same code.
import tfft

HIDDEN, LAYERS, INNER, HEADS, POSITIONS = 16, 2, 32, 2, 64
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    *LETTERS, *(f"##{letter}" for letter in LETTERS), "good", "bad", "!",
)  # fmt: skip


def bert_config(**changes):
    """Returns the config of a tiny BERT as Hugging Face writes it."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1,
        **changes,
    }


def bert_tensors(seed=0):
    """Returns random weights for `bert_config`, by Hugging Face's names."""
    generator = np.random.default_rng(seed)

    def normal(*shape):
        return generator.normal(0, 0.3, shape).astype("float32")

    tensors = {
        "embeddings.word_embeddings.weight": normal(len(VOCABULARY), HIDDEN),
        "embeddings.position_embeddings.weight": normal(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
    }
    norms, linears = ["embeddings.LayerNorm"], [("pooler.dense", HIDDEN, HIDDEN)]
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        linears += [
            (f"{layer}.attention.{name}", HIDDEN, HIDDEN)
            for name in ("self.query", "self.key", "self.value", "output.dense")
        ]
        linears.append((f"{layer}.intermediate.dense", INNER, HIDDEN))
        linears.append((f"{layer}.output.dense", HIDDEN, INNER))
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name, outputs, inputs in linears:
        tensors[f"{name}.weight"] = normal(outputs, inputs)
        tensors[f"{name}.bias"] = normal(outputs)
    for name in norms:
        tensors[f"{name}.weight"] = 1 + 0.1 * normal(HIDDEN)
        tensors[f"{name}.bias"] = normal(HIDDEN)
    return tensors


def write_bert(folder, config=None, tensors=None):
    """Writes a Hugging Face folder of a tiny BERT and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config or bert_config()))
    save_file(tensors or bert_tensors(), folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return folder


def review_rows(count=80, seed=0):
    """Returns rows that a model can learn: the first word says the label."""
    generator = random.Random(seed)
    rows = []
    for index in range(count):
        label = generator.choice(["neg", "pos"])
        word = "good" if label == "pos" else "bad"
        noise = "".join(generator.choices("abc", k=3))
        rows.append({"text": f"{word} {noise} {index}", "label": label})
    return rows


@pytest.fixture(scope="session")
def make_rows():
    """The function `review_rows`."""
    return review_rows


@pytest.fixture(scope="session")
def make_bert():
    """The function `write_bert`; with a seed, other weights."""

    def make(folder, seed=0, **config):
        return write_bert(folder, bert_config(**config), bert_tensors(seed))

    return make


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory):
    """A Hugging Face folder of a tiny BERT; read only."""
    return write_bert(tmp_path_factory.mktemp("bert") / "model")


@pytest.fixture(scope="session")
def tiny_run(bert_folder, tmp_path_factory):
    """A run of two epochs of LoRA on the tiny BERT; read only."""
    return tfft.finetune(
        model=bert_folder,
        data=review_rows(),
        output_dir=tmp_path_factory.mktemp("runs") / "reviews",
        epochs=2,
        learning_rate=1e-2,
        precision="float32",
        verbose=0,
    )


def tiny_backbone(**changes):
    """Returns a tiny KerasHub BERT; random but alike each time, without dropout."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(0)
    options = {
        "vocabulary_size": len(VOCABULARY),
        "num_layers": LAYERS,
        "num_heads": HEADS,
        "hidden_dim": HIDDEN,
        "intermediate_dim": INNER,
        "max_sequence_length": POSITIONS,
        "dropout": 0.0,
    }
    return keras_hub.models.BertBackbone(**{**options, **changes})


@pytest.fixture
def make_backbone():
    """The function `tiny_backbone`."""
    return tiny_backbone


@pytest.fixture
def backbone(make_backbone):
    """A tiny KerasHub BERT with random weights and without dropout."""
    return make_backbone()


@pytest.fixture
def make_training(make_backbone):
    """Makes an applied method and the compiled model that trains by it."""
    import keras

    from tfft.methods.method import METHODS
    from tfft.models.architecture import architecture_of
    from tfft.tasks.networks.text_classifier import TextClassifier
    from tfft.tasks.text_classification import TextClassification
    from tfft.training.step import TrainingModel

    def make(
        method="head",
        backbone=None,
        *,
        optimizer=None,
        objective=None,
        clip_norm=1.0,
        dropout=0.0,
        **options,
    ):
        backbone = backbone or make_backbone()
        architecture = architecture_of(backbone)
        adapter = METHODS.resolve(method, options).apply(backbone, architecture, 0)
        network = TextClassifier(backbone, num_classes=2, dropout=dropout)
        objective = objective or TextClassification().loss
        model = TrainingModel(network, objective, clip_norm=clip_norm)
        optimizer = optimizer or keras.optimizers.Adam(1e-2)
        optimizer.build(model.trainable_variables)
        model.compile(optimizer=optimizer, jit_compile=False)
        return adapter, model

    return make


@pytest.fixture
def make_batch():
    """Makes a batch of random rows with labels and weights 1."""

    def make(rows=3, length=7, seed=0):
        batch = random_batch(rows, length, seed)
        batch["labels"] = np.arange(rows, dtype="int32") % 2
        batch["weights"] = np.ones(rows, "float32")
        return batch

    return make


@pytest.fixture
def snapshot():
    """Copies the values of variables, by path."""

    def copy(variables):
        return {variable.path: np.array(variable) for variable in variables}

    return copy


def random_batch(rows=3, length=7, seed=0):
    """Returns a batch dict of random ids with padding at the ends of two rows."""
    generator = np.random.default_rng(seed)
    mask = np.ones((rows, length), "int32")
    mask[1:, -2:] = 0
    return {
        "token_ids": generator.integers(5, len(VOCABULARY), (rows, length), "int32"),
        "segment_ids": np.zeros((rows, length), "int32"),
        "padding_mask": mask,
    }


@pytest.fixture(autouse=True)
def _ask_inside(request, monkeypatch):
    """Exports are asked in this process, which has TensorFlow already.

    Tests marked `outside` have a process for each export, as users do.
    """
    if "outside" in request.keywords:
        return
    from tfft.serving import verification

    def ask(folder, questions):
        import json

        from tfft.serving import outside

        found = outside.ask(str(folder), json.loads(json.dumps(list(questions))))
        return verification.Reply(found["answers"], found["tensorflow_text"])

    def ask_script(name, model, questions):
        import json

        from tfft.serving import outside_tensors

        assert name == "outside_tensors.py"
        return outside_tensors.ask(str(model), json.loads(json.dumps(list(questions))))

    monkeypatch.setattr(verification, "ask_outside", ask)
    monkeypatch.setattr(verification, "ask_script", ask_script)
