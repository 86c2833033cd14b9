"""Warm-up requests, which TF Serving sends itself before it serves a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# The batch sizes that a server with batching_parameters.txt pads to.
BATCH_SIZES = (1, 2, 4, 8, 16, 32)


def write_warm_up(
    folder: Path, requests: Sequence[tuple[str, Mapping[str, Any]]]
) -> None:
    """Writes `assets.extra/tf_serving_warmup_requests`.

    Args:
        folder: The version folder.
        requests: Pairs of a signature's name and its inputs by name.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests:
            request = predict_pb2.PredictRequest()
            # TF Serving fills in the name of the model that it loads.
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            entry = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(entry.SerializeToString())
