"""LiteRT and ONNX files of models that map ids to numbers."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.core.errors import MissingInputError, TfftError
from tfft.serving.saved_model import write
from tfft.tasks.endpoint import Endpoint

_OPSET = 17  # of 2022; runtimes since then have it
# Finds the unsupported operations in the converter's message.
_MISSING = re.compile(r"(?:Select ops: |Custom ops: |operation '|error: ')([\w., ]+)")
_EXTRA = ("tf2onnx", "onnx", "onnxruntime")


@dataclass(frozen=True)
class ExportFormat:
    """A file format and how to convert a model to it.

    Attributes:
        name: Its name in options.
        file: The name of the file.
        dtypes: The types it can store matrices in, the exact one first.
        convert: Converts an endpoint with a dtype to the bytes of a file.
    """

    name: str
    file: str
    dtypes: tuple[str, ...]
    convert: Callable[[Endpoint, str], bytes]


def numbers_of(endpoint: Endpoint) -> Endpoint:
    """Returns an endpoint without its text outputs."""
    import tensorflow as tf

    def compute(*given: Any) -> dict[str, Any]:
        found = endpoint.compute(*given)
        return {
            name: value for name, value in found.items() if value.dtype != tf.string
        }

    return Endpoint(endpoint.inputs, compute)


def to_litert(endpoint: Endpoint, dtype: str) -> bytes:
    """Returns a LiteRT (formerly TensorFlow Lite) model.

    Args:
        endpoint: From ids to numbers.
        dtype: `float32`; `float16`, which stores matrices in float16; or `int8`, which
            stores them with a scale for each output and multiplies in int8.

    Raises:
        TfftError: When LiteRT does not have an operation that the model needs.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    with tempfile.TemporaryDirectory() as scratch:
        # Given functions of a Keras model, the converter loses the variables' values.
        write({"serving_default": endpoint}, Path(scratch, "model"))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            f"{scratch}/model", signature_keys=["serving_default"]
        )
        if dtype != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if dtype == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            return converter.convert()
        except ConverterError as error:
            named = dict.fromkeys(_MISSING.findall(str(error)))
            raise TfftError(
                f"LiteRT does not support: {', '.join(named) or str(error)[-200:]}",
                fix='use format="onnx", or export a SavedModel',
            ) from error


def to_onnx(endpoint: Endpoint, dtype: str) -> bytes:
    """Returns an ONNX model.

    Args:
        endpoint: From ids to numbers.
        dtype: `float32`.

    Raises:
        MissingInputError: Without the extra `onnx`.
    """
    del dtype
    with _onnx_extra(), tempfile.TemporaryDirectory() as scratch:
        import onnxruntime  # noqa: F401 (needed afterward to run the file)
        import tensorflow as tf
        import tf2onnx

        signature = [
            tf.TensorSpec(shape, kind, name)
            for name, (shape, kind) in endpoint.inputs.items()
        ]
        function = tf.function(
            endpoint.answer, input_signature=signature, autograph=False
        )
        path = Path(scratch, "model.onnx")
        tf2onnx.convert.from_function(
            function,
            input_signature=signature,
            opset=_OPSET,
            custom_op_handlers={"Erfc": (_erfc, [])},
            output_path=str(path),
        )
        return path.read_bytes()


def _erfc(graph: Any, node: Any, name: str, arguments: list[Any]) -> None:
    """Replaces `Erfc` by 1 - Erf(z), which ONNX supports.

    TensorFlow computes the exact GELU with `Erfc`. The converter would copy it into the
    file unchanged, and no runtime supports it.
    """
    import numpy as np
    from tf2onnx.utils import make_name, map_onnx_to_numpy_type

    del arguments
    dtype, shape = graph.get_dtype(node.output[0]), graph.get_shape(node.output[0])
    [z], outputs = node.input, node.output
    one = np.array(1, map_onnx_to_numpy_type(dtype))
    graph.remove_node(name)
    erf = graph.make_node("Erf", [z], shapes=[shape], dtypes=[dtype])
    graph.make_node(
        "Sub",
        [graph.make_const(make_name("one"), one).output[0], erf.output[0]],
        outputs=outputs,
        name=name,
        shapes=[shape],
        dtypes=[dtype],
    )


@contextlib.contextmanager
def _onnx_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        raise MissingInputError(
            f"package {error.name} is not installed",
            fix='install the extra: pip install "tfft[onnx]"',
        ) from error


EXPORT_FORMATS = {
    one.name: one
    for one in (
        ExportFormat(
            "litert", "model.tflite", ("float32", "float16", "int8"), to_litert
        ),
        ExportFormat("onnx", "model.onnx", ("float32",), to_onnx),
    )
}
