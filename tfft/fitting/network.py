"""One network over a backbone that others share: trained again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfft.fitting.config import FinetuneConfig
from tfft.fitting.optimize import left_to_adam, optimizer_of, schedule_of
from tfft.methods.method import Method
from tfft.models.pretrained import Pretrained
from tfft.runs.build import Built, build
from tfft.runs.predictor import Predictor
from tfft.tasks.task import Labels, Task

# Of what an optimizer or a step is traced with; the rest may change between two
# trainings without a new trace.
_TRACED = (
    "optimizer", "weight_decay", "clip_norm", "accumulation", "on_nan", "no_decay",
    "layer_decay", "ema", "schedule", "schedule_power", "compile_step", "batch_size",
)  # fmt: skip

# A trace of a large network takes many megabytes.
_MOST_TRAINERS = 3

Values = list[np.ndarray]


class Bench:
    """A method and a head on a shared backbone, with what was traced for them.

    While it is at work its layers stand in the backbone; `leave` takes them out, with
    their values, and `enter` puts them in again. Traced functions stay right all the
    while: they belong to variables, not to places.

    Args:
        task: Says which head.
        method: What is applied.
        pretrained: With a plain backbone, its weights those of the checkpoint.
        labels: The labels by id.
        seed: For the first values.
        pristine: Values of the checkpoint by the id of their variable; those of
            variables that train here are added.
        hosts: Whether it trains what its method has room for, and not the method.
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
    ) -> None:
        backbone = pretrained.backbone
        plain = {id(variable) for variable in backbone.weights}
        fresh = {id(variable) for variable in pretrained.fresh_variables}
        self._arguments = (task, pretrained, labels)
        self.task, self.method = task, method
        self.built = self._build(seed, method)
        self._flags = [(v, v.trainable) for v in self.built.network.weights]
        self._base = [v for v in backbone.trainable_variables if id(v) in plain]
        for variable in self._base:
            if id(variable) not in pristine:
                pristine[id(variable)] = np.array(variable)
        self._pristine, self._spared = pristine, plain - fresh
        self._hosts, self._now = hosts, repr((seed, method))
        self._first = {self._now: self._read(self._own(self.built.network))}
        self._trainers: dict[str, tuple[Any, Any, Values]] = {}
        self._forwards: dict[str, Any] = {}
        self._put_back: Callable[[], None] | None = None

    def _build(self, seed: int, method: Method) -> Built:
        task, pretrained, labels = self._arguments
        return build(task, method, pretrained, labels, seed)

    def _own(self, network: Any) -> list[Any]:
        """Returns what is not the checkpoint's: adapter, head, random states."""
        return [v for v in network.variables if id(v) not in self._spared]

    @staticmethod
    def _read(variables: Sequence[Any]) -> Values:
        return [np.array(variable) for variable in variables]

    @property
    def kept(self) -> list[Any]:
        """The variables that a training decides."""
        return [*self._own(self.built.network), *self._base]

    def values(self) -> Values:
        """Returns copies of what a training decides, in the shapes of its method."""
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
            method: What is to be trained, the bench's own or a guest.
        """
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
        """Undoes `leave`, but for what was trained of the backbone itself."""
        self._put_back()
        for variable, trainable in self._flags:
            variable.trainable = trainable

    def predictor(self, task: Task, policy: str) -> Predictor:
        """Returns a predictor with the trace of a policy.

        Args:
            task: The bench's own, or the same with other thresholds.
            policy: The precision that the network has now.
        """
        made = Predictor(
            self.built, task, self._arguments[2], self._forwards.get(policy)
        )
        self._forwards[policy] = made.forward
        return made

    def trainer(
        self,
        config: FinetuneConfig,
        policy: str,
        *,
        learning_rate: float,
        steps: int,
        multipliers: Mapping[str, float],
        describe: Callable[[list[int]], str],
    ) -> Any:
        """Returns a model that is ready to train from the first step on.

        Args:
            config: The options.
            policy: In what numbers the network computes.
            learning_rate: The peak.
            steps: Steps of the training.
            multipliers: Factors of the learning rate by variable path.
            describe: Returns what users know training rows by.
        """
        from tfft.training.position import Position

        schedule = schedule_of(config, learning_rate, steps)
        key = repr([policy, *(getattr(config, name) for name in _TRACED)])
        known = self._trainers.pop(key, None)
        if known is None or known[1] is None:  # a user's own schedule cannot move
            known = self._trainer(config, policy, schedule, multipliers)
        self._trainers[key] = known
        for oldest in list(self._trainers)[:-_MOST_TRAINERS]:
            del self._trainers[oldest]
        model, movable, first = known
        if movable:
            movable.become(schedule)
        for variable, value in zip(model.optimizer.variables, first, strict=True):
            variable.assign(value)
        scale = model.loss_scale.first if model.loss_scale else 1.0
        model.position, model.describe = Position(loss_scale=scale), describe
        model.accumulation = config.accumulation
        return model

    def _trainer(
        self,
        config: FinetuneConfig,
        policy: str,
        schedule: Any,
        multipliers: Mapping[str, float],
    ) -> tuple[Any, Any, Values]:
        from tfft.training.hardware import choose_compilation
        from tfft.training.loss_scale import LossScale
        from tfft.training.step import TrainingModel
        from tfft.training.warmup_decay import MovableWarmupDecay, WarmupDecay

        model = TrainingModel(
            self.built.network,
            self.task.loss,
            clip_norm=config.clip_norm,
            accumulation=config.accumulation,
            adapt=config.batch_size == "auto",
            on_nan=config.on_nan,
            loss_scale=LossScale() if policy == "mixed_float16" else None,
        )
        plain = isinstance(schedule, WarmupDecay)
        movable = MovableWarmupDecay(schedule) if plain else None
        optimizer = optimizer_of(
            config,
            model.trainable_variables,
            learning_rate=0.0,
            steps=1,
            multipliers=multipliers,
            outputs=left_to_adam(self.built),
            movable=movable or schedule,
        )
        compiled = choose_compilation(config.compile_step)
        model.compile(optimizer=optimizer, jit_compile=compiled)
        return model, movable, self._read(optimizer.variables)


def room_for(
    method: Method, largest: Mapping[str, float], optimizer: Any
) -> Method | None:
    """Returns a method in whose network to train another, or None for its own.

    Args:
        method: What is to be trained.
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
