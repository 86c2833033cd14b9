"""Builds a network from backbone, method and head, for training and for loading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfft.core.seeds import derive, stream
from tfft.methods.adapter import Adapter
from tfft.methods.method import Method
from tfft.models.pretrained import Pretrained
from tfft.runs.checkpoint_head import take_head
from tfft.tasks.task import Labels, Task

_SPREAD = 0.02  # standard deviation of new kernels, as in BERT


@dataclass(frozen=True)
class Built:
    """A network, ready to train or to load weights into.

    Attributes:
        network: The Keras model, backbone and head.
        adapter: The method applied to the backbone.
        pretrained: The backbone with its tokenizer.
        notes: One sentence for each thing that the user should know.
    """

    network: Any
    adapter: Adapter
    pretrained: Pretrained
    notes: tuple[str, ...] = ()


def build(
    task: Task, method: Method, pretrained: Pretrained, labels: Labels, seed: int
) -> Built:
    """Returns a network: the backbone with the method applied and the head added.

    Weights that are missing from the checkpoint always train, whatever the method:
    they start random, and nothing else would ever fit them.

    Args:
        task: Decides the head.
        method: Applied to the backbone, which it changes.
        pretrained: The backbone and its tokenizer.
        labels: The labels by id.
        seed: For all new weights, and for dropout.
    """
    adapter = method.apply(pretrained.backbone, pretrained.architecture, seed)
    for index, variable in enumerate(pretrained.fresh_variables):
        variable.trainable = True
        if len(variable.shape) > 1:  # biases stay 0, the weights of norms 1
            random = stream(seed, "fresh", index)
            variable.assign(random.normal(0, _SPREAD, variable.shape))
    network = task.build(pretrained, labels, seed)
    if not network.uses_top:
        # Such as the pooler: the network does not use it, so it has no gradient.
        for variable in pretrained.optional_variables:
            variable.trainable = False
    _seed_dropout(network, seed)
    return Built(network, adapter, pretrained, take_head(network, pretrained, labels))


def _seed_dropout(network: Any, seed: int) -> None:
    """Sets the random states of dropout, which Keras draws again for each backbone."""
    states = [v for v in network.variables if "seed_generator" in v.path]
    for index, state in enumerate(states):
        state.assign([derive(seed, "dropout", index), 0])
