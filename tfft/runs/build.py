"""Backbone, method and head put together; the same for training and loading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfft.core.seeds import derive, stream
from tfft.methods.adapter import Adapter
from tfft.methods.method import Method
from tfft.models.pretrained import Pretrained
from tfft.runs.head import take_head
from tfft.tasks.task import Labels, Task

_SPREAD = 0.02  # of new kernels, as BERT's authors have it


@dataclass(frozen=True)
class Built:
    """A network ready to train or to be given its weights.

    Attributes:
        network: The Keras model, backbone and head.
        adapter: The method applied to the backbone.
        pretrained: The backbone with its tokenizer.
        notes: A sentence for each thing that a user should know.
    """

    network: Any
    adapter: Adapter
    pretrained: Pretrained
    notes: tuple[str, ...] = ()


def build(
    task: Task, method: Method, pretrained: Pretrained, labels: Labels, seed: int
) -> Built:
    """Applies the method and adds the head.

    Weights that the checkpoint did not have train whatever the method says: they
    are random, and no one else would ever fit them.
    """
    adapter = method.apply(pretrained.backbone, pretrained.architecture, seed)
    for index, variable in enumerate(pretrained.fresh_variables):
        variable.trainable = True
        if len(variable.shape) > 1:  # biases and norms start at 0 and 1
            random = stream(seed, "fresh", index)
            variable.assign(random.normal(0, _SPREAD, variable.shape))
    network = task.build(pretrained, labels, seed)
    if not network.uses_top:
        # Such as the pooler: it then takes no part, and has no gradient.
        for variable in pretrained.optional_variables:
            variable.trainable = False
    _seed_dropout(network, seed)
    return Built(network, adapter, pretrained, take_head(network, pretrained, labels))


def _seed_dropout(network: Any, seed: int) -> None:
    """Sets the random states of a network, which Keras draws for a backbone."""
    states = [v for v in network.variables if "seed_generator" in v.path]
    for index, state in enumerate(states):
        state.assign([derive(seed, "dropout", index), 0])
