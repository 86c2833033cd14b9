"""Distributed training: choosing a strategy, and each process' part in it."""

from __future__ import annotations

from typing import Any

from tfft.core.errors import ConfigError

NAMES = ("mirrored", "mirrored:N", "multi_worker", "tpu")


def choose_strategy(strategy: Any) -> Any:
    """Returns a `tf.distribute` strategy.

    Call this before anything else in TensorFlow, because it sets up the devices.

    Args:
        strategy: None for one device; "mirrored" for all GPUs of this machine, or all
            logical CPUs on a machine without GPUs; "mirrored:N" for the first N GPUs,
            or for N logical CPUs, which are created; "multi_worker" for the processes
            named in the environment variable TF_CONFIG; "tpu" for the TPU named in
            TPU_NAME; or a strategy object.

    Raises:
        ConfigError: For another name, missing devices, or multi-worker training
            without TF_CONFIG.
    """
    import tensorflow as tf

    if strategy is None:
        return tf.distribute.get_strategy()
    if isinstance(strategy, tf.distribute.Strategy):
        return strategy
    name, _, count = str(strategy).partition(":")
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(_devices(count))
    if strategy == "multi_worker":
        return _multi_worker()
    if strategy == "tpu":
        return _tpu()
    raise ConfigError(
        f"strategy={strategy!r}",
        where="FinetuneConfig",
        expected=f"one of: {', '.join(NAMES)}, or a tf.distribute.Strategy",
    )


def _devices(count: str) -> list[str]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if count and not (count.isdecimal() and int(count) >= 1):
        raise ConfigError(
            f"strategy='mirrored:{count}'",
            where="FinetuneConfig",
            expected="a number of replicas after the colon, such as mirrored:2",
        )
    if not gpus:
        return _logical_cpus(int(count) if count else None)
    if count and int(count) > len(gpus):
        raise ConfigError(
            f"strategy='mirrored:{count}' on a machine with {len(gpus)} GPUs",
            where="FinetuneConfig",
            expected=f"at most {len(gpus)}",
        )
    return [f"GPU:{index}" for index in range(int(count) if count else len(gpus))]


def _logical_cpus(count: int | None) -> list[str]:
    import tensorflow as tf

    if count:
        configuration = [tf.config.LogicalDeviceConfiguration()] * count
        cpu = tf.config.list_physical_devices("CPU")[0]
        try:
            tf.config.set_logical_device_configuration(cpu, configuration)
        except RuntimeError as error:
            if len(tf.config.list_logical_devices("CPU")) < count:
                raise ConfigError(
                    f"strategy='mirrored:{count}' after TensorFlow has started",
                    where="FinetuneConfig",
                    fix="train in a new process, or create logical CPUs first",
                ) from error
    found = len(tf.config.list_logical_devices("CPU"))
    return [f"CPU:{index}" for index in range(count or found)]


def _multi_worker() -> Any:
    import os

    import tensorflow as tf

    if "TF_CONFIG" not in os.environ:
        raise ConfigError(
            "strategy='multi_worker' without TF_CONFIG",
            where="the environment",
            expected="TF_CONFIG with this worker's task and all workers' addresses",
            fix="set it, or start local workers with `tfft launch --workers N`",
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu() -> Any:
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except ValueError as error:
        raise ConfigError(
            f"strategy='tpu', but no TPU was found: {error}",
            where="FinetuneConfig",
            fix="set TPU_NAME, or choose another strategy",
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def worker(strategy: Any) -> tuple[int, int]:
    """Returns the index of this process in a strategy, and the number of processes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec().as_dict().get("worker"):
        return 0, 1
    return resolver.task_id, len(resolver.cluster_spec().as_dict()["worker"])


def replica_range(strategy: Any) -> range:
    """Returns the indices of the replicas that belong to this process."""
    index, count = worker(strategy)
    here = strategy.num_replicas_in_sync // count
    return range(index * here, (index + 1) * here)


def distribute(strategy: Any, dataset: Any) -> Any:
    """Returns a dataset with one element per replica, in the form a strategy needs.

    Args:
        strategy: The strategy that will consume it.
        dataset: The parts for this process' replicas, one after another.
    """
    if strategy.num_replicas_in_sync == 1:
        return dataset
    return strategy.distribute_datasets_from_function(lambda context: dataset)


def wait_for_all(strategy: Any) -> None:
    """Waits until every process of a strategy has called this."""
    import tensorflow as tf

    @tf.function
    def meet() -> Any:
        one = strategy.run(lambda: tf.constant(1.0))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, one, axis=None)

    if worker(strategy)[1] > 1:
        meet().numpy()
