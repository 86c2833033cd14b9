"""Keras' optimizers by name, with a learning rate and weight decay per variable."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfft.core.errors import ConfigError, nearest, one_of, shorten
from tfft.core.patterns import select

# Biases and norms set scales of their own, so pulling them to zero harms. Muon would
# mix the heads of an attention bias, which KerasHub stores as a matrix.
_NOT_MATRICES = ("bias", "gamma", "beta", "scale")

# AdamW is Adam plus the weight decay that every optimizer gets here.
_TABLE: dict[str, tuple[type, dict[str, Any]]] = {
    "adamw": (keras.optimizers.Adam, {}),
    "adam": (keras.optimizers.Adam, {}),
    "sgd": (keras.optimizers.SGD, {"momentum": 0.9}),
    "adafactor": (keras.optimizers.Adafactor, {}),
    "lion": (keras.optimizers.Lion, {}),
    "muon": (keras.optimizers.Muon, {}),
}

_BY_ELEMENT = (keras.optimizers.Adam, keras.optimizers.SGD, keras.optimizers.Lion)

# Options that are set elsewhere in a training, or done by the train step itself.
_NOT_ITS_OWN = (
    "learning_rate",
    "weight_decay",
    "adam_weight_decay",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
    "name",
)
_REFUSED = ("use_ema", "loss_scale_factor", "gradient_accumulation_steps")


class ByVariable:
    """A mixin for Keras optimizers that gives each variable its own rate and decay.

    It scales the learning rate and not the gradient, because Adam ignores the scale of
    the gradient.

    Attributes:
        factors: The learning rate multiplier of each variable.
        decays: The fraction of each weight that a step at learning rate 1 removes.
    """

    factors: Sequence[float]
    decays: Sequence[float]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decays a variable, then updates it like the optimizer it is mixed into."""
        index = self._get_variable_index(variable)
        rate = learning_rate * self.factors[index]
        if self.decays[index]:
            kept = ops.cast(1 - rate * self.decays[index], variable.dtype)
            self.assign(variable, ops.multiply(variable, kept))
        super().update_step(gradient, variable, rate)


class OnePass:
    """A mixin for Keras' Adam that reads and writes each weight once per step.

    It computes Keras' formula in a single TensorFlow operation. As separate operations
    it takes a dozen passes over the weights and their moments, which for small batches
    takes longer than the gradient.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable and its moments."""
        if self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        index, dtype = self._get_variable_index(variable), variable.dtype
        step = ops.cast(self.iterations + 1, dtype)
        betas = [ops.cast(beta, dtype) for beta in (self.beta_1, self.beta_2)]
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=ops.power(betas[0], step),
            beta2_power=ops.power(betas[1], step),
            lr=ops.cast(learning_rate, dtype),
            beta1=betas[0],
            beta2=betas[1],
            epsilon=ops.cast(self.epsilon, dtype),
            grad=ops.cast(gradient, dtype),
        )


def _handle(variable: Any) -> Any:
    """Returns the resource handle of a Keras or TensorFlow variable."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def make_optimizer(
    kind: Any,
    variables: Sequence[Any],
    *,
    learning_rate: Any,
    weight_decay: float,
    no_decay: Sequence[str] = (),
    ema: float = 0.0,
    multipliers: Mapping[str, float] | None = None,
    outputs: Sequence[str] = (),
) -> keras.optimizers.Optimizer:
    """Returns a Keras optimizer, built.

    Args:
        kind: A name, a dict of `name` and options of the Keras class, or a Keras
            optimizer. An optimizer is copied and keeps its own weight decay.
        variables: The variables to train.
        learning_rate: A number or a Keras schedule.
        weight_decay: Decay per step, times the learning rate and separate from the
            gradient (Loshchilov & Hutter, 2017, arXiv:1711.05101). Not applied to
            biases, norms and other vectors, nor with "adam".
        no_decay: Patterns of the paths of more variables without decay.
        ema: Momentum of the moving average of the variables, 0 for no average.
        multipliers: Learning rate factors by variable path; 1 for other variables.
        outputs: Paths of variables that Muon leaves to Adam, like biases and
            embeddings: those of output layers, and learned inputs.

    Raises:
        ConfigError: For an unknown optimizer or option, or a pattern or path that
            matches no variable.
    """
    base, config, own_decay = _resolve(kind, weight_decay)
    if base is keras.optimizers.Muon:
        paths = [*outputs, *(v.path for v in variables if v.name in _NOT_MATRICES)]
        exact = [f"^{re.escape(path)}$" for path in paths]
        config["exclude_layers"] = [*(config.get("exclude_layers") or ()), *exact]
    config |= {"learning_rate": learning_rate, "use_ema": ema > 0}
    if ema:
        config["ema_momentum"] = ema
    plain = getattr(base, "update_step", None) is keras.optimizers.Adam.update_step
    bases = (ByVariable, OnePass, base) if plain else (ByVariable, base)
    optimizer = _make(type(base.__name__, bases, {}), config)
    for name in ("weight_decay", "adam_weight_decay"):
        if hasattr(optimizer, name):
            setattr(optimizer, name, None)  # ByVariable applies it, not Keras
    optimizer.factors = _factors(variables, multipliers or {})
    optimizer.decays = _decays(variables, own_decay, no_decay)
    # Inside the conditional of the train step it could not create its variables.
    optimizer.build(list(variables))
    return optimizer


def check_optimizer(
    kind: Any,
    variables: Sequence[Any],
    no_decay: Sequence[str] = (),
    multipliers: Mapping[str, float] | None = None,
) -> None:
    """Raises the errors of `make_optimizer` without allocating memory.

    Raises:
        ConfigError: As in `make_optimizer`.
    """
    base, config, decay = _resolve(kind, 0.0)
    _make(base, {"learning_rate": 1.0, **config})
    _factors(variables, multipliers or {})
    _decays(variables, decay, no_decay)


def _make(cls: type, config: dict[str, Any]) -> keras.optimizers.Optimizer:
    try:
        return cls.from_config(config)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{cls.__name__} rejects its options: {error}",
            where="optimizer",
            fix="see the class in Keras' documentation",
        ) from error


def keeps_zeros(kind: Any) -> bool:
    """Returns whether an optimizer never moves a weight whose gradient is always 0.

    Such an optimizer trains a corner of an array exactly as it would train that corner
    alone. Others, such as Muon and Adafactor, depend on the whole array.

    Args:
        kind: An optimizer as accepted by `make_optimizer`.

    >>> keeps_zeros("adamw"), keeps_zeros("muon")
    (True, False)
    """
    return issubclass(_resolve(kind, 0.0)[0], _BY_ELEMENT)


def own_rate(kind: Any) -> Any:
    """Returns a Keras optimizer's learning rate or schedule, or None for a name."""
    if not isinstance(kind, keras.optimizers.Optimizer):
        return None
    rate = kind.get_config()["learning_rate"]
    if isinstance(rate, Mapping):
        return keras.saving.deserialize_keras_object(rate)
    return float(rate)


def _resolve(kind: Any, weight_decay: float) -> tuple[type, dict[str, Any], float]:
    """Returns the Keras class, the constructor's options and the weight decay."""
    if isinstance(kind, keras.optimizers.Optimizer):
        return _resolve_object(kind)
    options = dict(kind) if isinstance(kind, Mapping) else {"name": kind}
    name = options.pop("name", None)
    if name not in _TABLE:
        raise ConfigError(
            f"unknown optimizer {shorten(name)}",
            expected=f"{one_of(_TABLE)}; or in Python a Keras optimizer",
            fix=nearest(str(name), _TABLE) or "choose one of them",
        )
    base, defaults = _TABLE[name]
    allowed = [
        option
        for option in inspect.signature(base.__init__).parameters
        if option not in (*_NOT_ITS_OWN, "self", "kwargs")
    ]
    for option in options:
        if option not in allowed:
            raise ConfigError(
                f"unknown option {option} of optimizer {name}",
                expected=one_of(allowed),
                fix=nearest(option, allowed) or "leave it out",
            )
    return base, {**defaults, **options}, 0.0 if name == "adam" else weight_decay


def _resolve_object(kind: Any) -> tuple[type, dict[str, Any], float]:
    config = kind.get_config()
    for option in _REFUSED:
        if config.get(option):
            raise ConfigError(
                f"the optimizer has {option}={config[option]}",
                expected="an optimizer without it",
                fix="use the option ema" if option == "use_ema" else "leave it out",
            )
    decay = config.get("weight_decay")
    if config.get("adam_weight_decay", decay) != decay:
        raise ConfigError(
            f"weight_decay={decay} and "
            f"adam_weight_decay={config['adam_weight_decay']} differ",
            where=type(kind).__name__,
            fix="give both the same value, and use no_decay to exclude variables",
        )
    return type(kind), config, decay or 0.0


def _factors(variables: Sequence[Any], multipliers: Mapping[str, float]) -> list[float]:
    paths = {variable.path for variable in variables}
    for path, factor in multipliers.items():
        if path not in paths or not 0 <= factor < math.inf:
            raise ConfigError(
                f"learning rate multiplier {factor} of {path}",
                expected="0 or more, for the path of a variable that trains",
                fix="see the paths of model.trainable_variables",
            )
    return [float(multipliers.get(variable.path, 1.0)) for variable in variables]


def _decays(
    variables: Sequence[Any], decay: float, patterns: Sequence[str]
) -> list[float]:
    places = [(variable.path.replace("/", "."),) for variable in variables]
    spared = set(select(patterns, places, where="no_decay")) if patterns else set()
    return [
        0.0
        if index in spared or variable.name in _NOT_MATRICES or len(variable.shape) < 2
        else float(decay)
        for index, variable in enumerate(variables)
    ]
