"""A network over the shared backbone, which a session trains again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tfft.compute.split_frozen import Split
from tfft.data.batching import Batches
from tfft.evaluation.forward import Forward
from tfft.fitting.config import FinetuneConfig
from tfft.fitting.fit import Rows, Values
from tfft.fitting.frozen import Cuts, FrozenStates
from tfft.fitting.optimize import paths_for_adam, schedule_of, training_model
from tfft.methods.method import Method
from tfft.models.pretrained import Pretrained
from tfft.runs.build import Built, build
from tfft.tasks.task import Labels, Task

# Of what an optimizer or a step is traced with; the rest may change between two
# trainings without a new trace.
_TRACED = (
    "optimizer", "weight_decay", "clip_norm", "accumulation", "on_nan", "no_decay",
    "layer_decay", "ema", "schedule", "schedule_power", "compile_step", "batch_size",
)  # fmt: skip

# A trace of a large network takes many megabytes.
_MOST_TRAINERS = 3


class Network:
    """A method and a head on a shared backbone, with the functions traced for them.

    While it is active, its layers are in the backbone. `leave` takes them out, with
    their values, and `enter` puts them back. Traced functions stay valid throughout:
    they hold variables, not positions in the backbone.

    Args:
        task: Decides the head.
        method: The method to apply.
        pretrained: A plain backbone, with the weights of the checkpoint.
        labels: The labels by id.
        seed: For the first values.
        pristine: The checkpoint's values by the id of their variable. The network adds
            those of the variables it trains.
        hosts: Whether it trains methods that fit into `method`, and not that one.
        once: Whether it trains only once. It then keeps no first values, which would
            be a copy of all it trains.
    """

    def __init__(
        self,
        task: Task,
        method: Method,
        pretrained: Pretrained,
        labels: Labels,
        seed: int,
        pristine: dict[int, np.ndarray],
        *,
        hosts: bool = False,
        once: bool = False,
    ) -> None:
        backbone = pretrained.backbone
        plain = {id(variable) for variable in backbone.weights}
        fresh = {id(variable) for variable in pretrained.fresh_variables}
        self._arguments = (task, pretrained, labels)
        self.task, self.method = task, method
        self.built = self._build(seed, method)
        self._flags = [(v, v.trainable) for v in self.built.network.weights]
        self._base = [v for v in backbone.trainable_variables if id(v) in plain]
        self._pristine, self._spared = pristine, plain - fresh
        self._hosts, self._once, self._now = hosts, once, repr((seed, method))
        self._first: dict[str, Values] = {}
        if not once:
            for variable in self._base:
                if id(variable) not in pristine:
                    pristine[id(variable)] = np.array(variable)
            self._first[self._now] = self._read(self._own(self.built.network))
        self._trainers: dict[str, tuple[Any, Any, Values]] = {}
        self._forwards: dict[str, Any] = {}
        self._put_back: Callable[[], None] | None = None

    def _build(self, seed: int, method: Method) -> Built:
        task, pretrained, labels = self._arguments
        return build(task, method, pretrained, labels, seed)

    def _own(self, network: Any) -> list[Any]:
        """Returns variables that no checkpoint has: adapter, head, random states."""
        return [v for v in network.variables if id(v) not in self._spared]

    @staticmethod
    def _read(variables: Sequence[Any]) -> Values:
        return [np.array(variable) for variable in variables]

    @property
    def kept(self) -> list[Any]:
        """The variables that a training decides."""
        return [*self._own(self.built.network), *self._base]

    def values(self) -> Values | None:
        """Returns copies of what a training decides, in the shapes of its method.

        A network that trains only once holds them itself and returns None.
        """
        if self._once:
            return None
        shapes = [one.shape for one in self._first[self._now]]
        own = self._read(self._own(self.built.network))
        corners = [
            value[tuple(map(slice, shape))]
            for value, shape in zip(own, shapes, strict=True)
        ]
        return [*corners, *self._read(self._base)]

    def assign(self, values: Values) -> None:
        """Takes what `values` returned."""
        for variable, value in zip(self.kept, values, strict=True):
            variable.assign(value)

    def reset(self, seed: int, method: Method) -> None:
        """Gives every variable the value that a new network of a seed has.

        Args:
            seed: The seed.
            method: The method to train: the network's own, or one that fits into it.
        """
        if self._once:
            return
        self._now = repr((seed, method))
        if self._now not in self._first:
            self._first[self._now] = self._values_of(seed, method)
        if self._hosts:
            self.method.become(self.built.adapter, method)
        self._restore_base()
        own = self._own(self.built.network)
        for variable, value in zip(own, self._first[self._now], strict=True):
            _assign_corner(variable, value)

    def _values_of(self, seed: int, method: Method) -> Values:
        """Returns the first values of another network, made for them."""
        self.leave()
        other = self._build(seed, method)
        values = self._read(self._own(other.network))
        other.adapter.take_out()
        self.enter()
        return values

    def _restore_base(self) -> None:
        for variable in self._base:
            variable.assign(self._pristine[id(variable)])

    def leave(self) -> None:
        """Leaves the backbone as the checkpoint has it."""
        self._restore_base()
        self._put_back = self.built.adapter.take_out()

    def enter(self) -> None:
        """Undoes `leave`, except for trained weights of the backbone itself."""
        self._put_back()
        for variable, trainable in self._flags:
            variable.trainable = trainable

    def forward(self, policy: str) -> Forward:
        """Returns the forward pass under a precision, which must be set."""
        if policy not in self._forwards:
            per_token = self.task.per_token
            self._forwards[policy] = Forward(self.built.network, per_token=per_token)
        return self._forwards[policy]

    def forward_over(self, states: FrozenStates, split: Split, policy: str) -> Any:
        """Returns the forward pass that starts at the states of known rows.

        Args:
            states: The states.
            split: The cut of this network.
            policy: The precision, which must be set.
        """
        whole = self.forward(policy)
        key = f"{policy} above the frozen layers"
        if key not in self._forwards:
            self._forwards[key] = states.over(whole, split)
        return self._forwards[key]

    def look(
        self,
        method: Method,
        loss: Callable[[Any, Any], tuple[Any, Any]],
        batches: Batches,
    ) -> None:
        """Lets a method choose what to train by the gradients of the pretrained model.

        Args:
            method: The method that will be trained.
            loss: Maps outputs and batch to the sums of losses and weights.
            batches: The training rows.
        """
        import tensorflow as tf

        network = self.built.network

        def gradients(batch: Mapping[str, Any], variables: list[Any]) -> list[Any]:
            values = [variable.value for variable in variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(values)
                outputs = network({name: batch[name] for name in network.input})
                loss_sum, weight_sum = loss(outputs, batch)
                mean = tf.math.divide_no_nan(loss_sum, weight_sum)
            return tape.gradient(mean, values)

        method.look(self.built.adapter, gradients, batches.dataset(0))

    @cached_property
    def cuts(self) -> Cuts:
        """The cut of the network, below which states of frozen layers can be kept."""
        return Cuts.of(self.built.network)

    def trainer(self, plan: Plan, trained: Any) -> Any:
        """Returns a compiled model that is ready for the first step of a training.

        Args:
            plan: The training.
            trained: The network to train: this one, or the part of it above the frozen
                layers.
        """
        from tfft.training.position import Position

        config = plan.config
        steps = len(plan.batches) * config.epochs
        schedule = schedule_of(config, plan.learning_rate, steps)
        options = (getattr(config, name) for name in _TRACED)
        key = repr([plan.policy, trained is self.built.network, *options])
        known = self._trainers.pop(key, None)
        if known is None or known[1] is None:  # a user's own schedule cannot move
            known = self._trainer(plan, trained, schedule)
        self._trainers[key] = known
        for oldest in list(self._trainers)[:-_MOST_TRAINERS]:
            del self._trainers[oldest]
        model, movable, first = known
        if movable:
            movable.become(schedule)
        if not self._once:
            for variable, value in zip(model.optimizer.variables, first, strict=True):
                variable.assign(value)
        scale = model.loss_scale.first if model.loss_scale else 1.0
        model.position, model.describe = Position(loss_scale=scale), plan.rows.describe
        model.accumulation = config.accumulation
        return model

    def _trainer(
        self, plan: Plan, trained: Any, schedule: Any
    ) -> tuple[Any, Any, Values]:
        from tfft.training.warmup_decay import MovableWarmupDecay, WarmupDecay

        movable = None
        if isinstance(schedule, WarmupDecay) and not self._once:
            movable = MovableWarmupDecay(schedule)
        model = training_model(
            trained,
            plan.rows.task.loss,
            plan.config,
            plan.policy,
            schedule=movable or schedule,
            multipliers=plan.multipliers,
            outputs=paths_for_adam(self.built),
        )
        first = [] if self._once else self._read(model.optimizer.variables)
        return model, movable, first


@dataclass(frozen=True)
class Plan:
    """A training that is ready for its first step.

    Attributes:
        config: The options, with all defaults filled in.
        method: The method that is trained.
        rows: The rows.
        network: The network, with the first values of the seed.
        batches: The training rows in batches.
        policy: The precision to train in, such as `mixed_bfloat16`.
        multipliers: Factors of the learning rate by variable path.
    """

    config: FinetuneConfig
    method: Method
    rows: Rows
    network: Network
    batches: Batches
    policy: str
    multipliers: Mapping[str, float]

    @property
    def learning_rate(self) -> float:
        """The highest learning rate."""
        return self.config.learning_rate or self.method.learning_rate


def room_for(
    method: Method, largest: Mapping[str, float], optimizer: Any
) -> Method | None:
    """Returns a method in whose network to train another, or None for its own.

    Args:
        method: Chooses the weights to train.
        largest: The largest value that each of its options will have.
        optimizer: The option `optimizer`.
    """
    from tfft.training.optimizer import keeps_zeros

    return method.with_room(largest) if largest and keeps_zeros(optimizer) else None


def _assign_corner(variable: Any, value: np.ndarray) -> None:
    """Gives a variable a value in its first places, and zeros elsewhere."""
    missing = [
        (0, size - own) for size, own in zip(variable.shape, value.shape, strict=True)
    ]
    variable.assign(np.pad(value, missing) if any(map(any, missing)) else value)
