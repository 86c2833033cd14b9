"""Every option of the task changes what it says it changes."""

from __future__ import annotations

import numpy as np
import pytest

from tfft.data.batching import Batches
from tfft.data.table import Table
from tfft.tasks.causal_lm import CausalLanguageModelling

ROWS = [
    {"prompt": "a" * size, "completion": "b" * 7, "text": "c", "target": "d"}
    for size in (2, 9, 5)
]
PLAIN = {"format": "prompt_completion"}


def batch_of(tokenizer, **options):
    task = CausalLanguageModelling(**options)
    rows = Table.from_rows(ROWS, "rows")
    examples = task.encode(rows, tokenizer, ()).examples
    return Batches(examples, len(examples)).batch(np.arange(len(examples)))


@pytest.mark.parametrize(
    "options",
    [
        {**PLAIN, "train_on_prompt": True},
        {**PLAIN, "padding_free": False},
        {**PLAIN, "max_length": 12},
        {"format": "text"},
        {"template": "{prompt}!", "target": "completion"},
        {"template": "{prompt}"},
    ],
    ids=["train_on_prompt", "padding_free", "max_length", "format", "form", "target"],
)
def test_what_is_read_and_learned_changes(make_tokenizer, options):
    tokenizer = make_tokenizer()
    one, two = batch_of(tokenizer, **PLAIN), batch_of(tokenizer, **options)
    assert any(
        one[name].shape != two[name].shape or (one[name] != two[name]).any()
        for name in ("token_ids", "sequence_ids", "labels")
    )


def test_prompts_are_learned_but_never_scored(make_tokenizer):
    task = CausalLanguageModelling(**PLAIN, train_on_prompt=True)
    rows, tokenizer = Table.from_rows(ROWS, "rows"), make_tokenizer()
    learned = task.encode(rows, tokenizer, ()).examples.sequences["labels"]
    scored = task.encode(rows, tokenizer, None).examples.sequences["labels"]
    answers = len(ROWS) * (7 + 1)  # the completions, each with the end of text
    assert sum(map(len, scored)) == answers
    # The first token of a row has nothing before it to be predicted from.
    assert sum(map(len, learned)) == answers + (2 + 9 + 5) - len(ROWS)


@pytest.fixture
def losses(make_decoder, make_tokenizer):
    from tfft.tasks.networks.causal_lm import CausalLM

    backbone, batch = make_decoder(num_layers=1), batch_of(make_tokenizer(), **PLAIN)
    real = batch["labels"] >= 0

    def compute(training=True, **options):
        network = CausalLM(backbone, **options)
        inputs = {name: batch[name] for name in network.input}
        outputs = network(inputs, training=training)
        return np.asarray(outputs)[..., 0][real]

    return compute


@pytest.mark.parametrize(
    "options", [{"label_smoothing": 0.3}, {"z_loss": 0.1}, {"neftune_alpha": 9.0}]
)
def test_the_loss_changes_in_training_alone(losses, options):
    assert np.abs(losses(**options) - losses()).max() > 1e-3
    assert (losses(training=False, **options) == losses(training=False)).all()


def test_noise_has_the_size_of_neftune(make_decoder):
    from tfft.tasks.networks.causal_lm import CausalLM

    network = CausalLM(make_decoder(num_layers=1), neftune_alpha=5.0)
    lengths = np.array([[1] * 30 + [2] * 10])
    noise = np.asarray(network._neftune(lengths)(np.zeros((1, 40, 64), "float32")))[0]
    for part, length in ((noise[:30], 30), (noise[30:], 10)):
        bound = 5 / np.sqrt(length * 64)
        assert np.abs(part).max() <= bound
        # The largest of 640 draws at least is within a hundredth of the bound.
        assert np.abs(part).max() > 0.98 * bound
        assert abs(part.mean()) < 0.1 * bound


def test_checkpointing_is_handed_to_the_network(make_decoder):
    from types import SimpleNamespace

    backbone = make_decoder(num_layers=1)
    pretrained = SimpleNamespace(backbone=backbone, generation=None)
    for wanted in (True, False):
        task = CausalLanguageModelling(gradient_checkpointing=wanted)
        assert task.build(pretrained, (), 0).gradient_checkpointing is wanted


def test_the_network_is_made_anew_from_its_config(make_decoder):
    from tfft.tasks.networks.causal_lm import CausalLM

    network = CausalLM(make_decoder(num_layers=1), z_loss=0.5, neftune_alpha=2.0)
    again = CausalLM.from_config(network.get_config())
    assert (again.z_loss, again.neftune_alpha) == (0.5, 2.0)
    assert again.backbone.hidden_dim == 16
