"""The optimizer of a recipe: its options, and the learning rate of each variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfft.core.errors import ConfigError
from tfft.fitting.config import FinetuneConfig
from tfft.methods.method import Adapter
from tfft.models.architecture import Architecture
from tfft.runs.build import Built


def training_model(
    network: Any,
    loss: Callable[[Any, Any], tuple[Any, Any]],
    config: FinetuneConfig,
    policy: str,
    *,
    schedule: Any,
    multipliers: Mapping[str, float] | None = None,
    outputs: Sequence[str] = (),
) -> Any:
    """Returns the compiled `TrainingModel` that the options describe.

    Args:
        network: The network to train.
        loss: Maps outputs and batch to the sums of losses and weights.
        config: The options.
        policy: The precision that the network computes in.
        schedule: The learning rate, a number or a Keras schedule.
        multipliers: Factors of the learning rate by variable path.
        outputs: Paths of output layers' variables.
    """
    from tfft.training.hardware import choose_compilation
    from tfft.training.loss_scale import LossScale
    from tfft.training.optimizer import make_optimizer
    from tfft.training.step import TrainingModel

    model = TrainingModel(
        network,
        loss,
        clip_norm=config.clip_norm,
        accumulation=config.accumulation,
        adapt=config.batch_size == "auto",
        on_nan=config.on_nan,
        loss_scale=LossScale() if policy == "mixed_float16" else None,
    )
    optimizer = make_optimizer(
        config.optimizer,
        model.trainable_variables,
        learning_rate=schedule,
        weight_decay=config.weight_decay,
        no_decay=config.no_decay,
        ema=config.ema,
        multipliers=multipliers,
        outputs=outputs,
    )
    compiled = choose_compilation(config.compile_step)
    model.compile(optimizer=optimizer, jit_compile=compiled)
    return model


def paths_for_adam(built: Built) -> list[str]:
    """Returns the paths of variables that Muon leaves to Adam: outputs and inputs."""
    variables = [*built.network.head_variables, *built.adapter.inputs]
    return [variable.path for variable in variables]


def schedule_of(config: FinetuneConfig, learning_rate: float, steps: int) -> Any:
    """Returns the learning rate over the steps: a number or a Keras schedule."""
    own = _own_rate(config)
    if own is not None and not isinstance(own, float):
        return own
    if not isinstance(config.schedule, str):
        return config.schedule
    from tfft.training.warmup_decay import WarmupDecay

    rise = config.warmup_steps
    return WarmupDecay(
        peak=learning_rate if own is None else own,
        steps=steps,
        warmup_steps=round(config.warmup * steps) if rise is None else rise,
        kind=config.schedule,
        power=config.schedule_power,
    )


def _own_rate(config: FinetuneConfig) -> Any:
    if isinstance(config.optimizer, str | Mapping):
        return None
    from tfft.training.optimizer import own_rate

    return own_rate(config.optimizer)


def describe_rate(config: FinetuneConfig, method: Any) -> str:
    """Returns the optimizer and its learning rate in words."""
    named = config.optimizer
    if isinstance(named, Mapping):
        named = named.get("name")
    own = _own_rate(config)
    if own is not None:
        named = f"the given {type(named).__name__}"
    if own is not None and not isinstance(own, float):
        return f"{named} with its {type(own).__name__}"
    if not isinstance(config.schedule, str):
        return f"{named}, learning rate by {type(config.schedule).__name__}"
    rate = own or config.learning_rate or method.learning_rate
    default = own is None and not config.learning_rate
    tuned = "" if named == "adamw" else ", found with adamw"
    source = f" ({method.name} default{tuned})" if default else ""
    return f"{named}, learning rate {rate:g}{source}"


def multipliers_of(built: Built, layer_decay: float) -> dict[str, float]:
    """Returns the factors of the learning rate by path of trainable variables.

    They are the product of the method's factors and those of the depth (ULMFiT, Howard
    & Ruder, 2018, arXiv:1801.06146). The head and everything above the layers keep the
    rate. The highest layer multiplies it by the decay, each lower layer once more, and
    the embeddings count as one layer below the lowest.

    Args:
        built: The network.
        layer_decay: The factor from one layer to the one below, 1 for no decay.

    Raises:
        ConfigError: For a decay with a method that trains no layer.
    """
    factors = dict(_of_method(built.adapter))
    if layer_decay == 1:
        return factors
    depths = layer_depths(
        built.pretrained.architecture,
        built.pretrained.backbone.num_layers,
        [variable.path for variable in built.network.trainable_variables],
    )
    if not any(depths.values()):
        raise ConfigError(
            f"layer_decay={layer_decay:g} with a method that trains no layer",
            fix="leave layer_decay out, or choose another method",
        )
    for path, depth in depths.items():
        factors[path] = factors.get(path, 1.0) * layer_decay**depth
    return factors


def check_rates(
    config: FinetuneConfig, built: Built, multipliers: Mapping[str, float]
) -> None:
    """Raises for an invalid optimizer, pattern or path.

    Raises:
        ConfigError: With the value.
    """
    from tfft.training.optimizer import check_optimizer

    variables = built.network.trainable_variables
    check_optimizer(config.optimizer, variables, config.no_decay, multipliers)


def _of_method(adapter: Adapter) -> Mapping[str, float]:
    """Returns the factors of the method, such as those of LoRA+ for B."""
    return adapter.learning_rate_multipliers


def layer_depths(
    architecture: Architecture, num_layers: int, paths: Sequence[str]
) -> dict[str, int]:
    """Returns the depth of each variable below the head, which has depth 0.

    Args:
        architecture: Has the table of places.
        num_layers: Layers of the backbone.
        paths: Paths of variables.
    """
    by_prefix = {
        place.path: _depth(place.name, num_layers, architecture.top)
        for place in architecture.places(num_layers)
    }
    return {path: _find(path, by_prefix) for path in paths}


def _depth(name: str, num_layers: int, top: Sequence[str]) -> int:
    if name.startswith("layers."):
        return num_layers - int(name.split(".")[1])
    return 0 if name in top or not name.startswith("embeddings.") else num_layers + 1


def _find(path: str, by_prefix: Mapping[str, int]) -> int:
    """Compares whole names: layer_1 is not a prefix of layer_10."""
    for prefix, depth in by_prefix.items():
        if f"/{prefix}/" in f"/{path}":
            return depth
    return 0
