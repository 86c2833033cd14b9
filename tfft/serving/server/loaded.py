"""A loaded version of a model."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers the tokenizers' operations)
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from tfft.core.errors import DataError, nearest, one_of
from tfft.serving.server.refusals import InvalidRequestError
from tfft.serving.server.signatures import Signature
from tfft.serving.server.tensors import arrays_of

DEFAULT_SIGNATURE = "serving_default"
MODEL_FILE = "saved_model.pb"
_WARMUP = Path("assets.extra", "tf_serving_warmup_requests")
# As many as TF Serving replays.
_WARMUP_RECORDS = 1000
# A SavedModel is a program. These operations would let it use files or run Python.
_REFUSED_OPS = {"ReadFile", "WriteFile", "PyFunc", "PyFuncStateless", "EagerPyFunc"}


class LoadedModel:
    """A version of a model, loaded and ready for requests.

    Args:
        folder: The version folder.
        version: Its number.

    Raises:
        DataError: For a folder without a SavedModel that can be served.
    """

    def __init__(self, folder: Path, version: int) -> None:
        self.version = version
        self.in_use = 0
        graph = _read(folder)
        self.signature_defs = graph.signature_def
        try:
            # Kept because the signatures hold only weak references to their variables.
            self._loaded = tf.saved_model.load(str(folder))
        except (tf.errors.OpError, OSError, ValueError, KeyError) as error:
            raise _unusable(folder, str(error)) from error
        self.signatures = {
            name: Signature(name, function)
            for name, function in self._loaded.signatures.items()
        }
        if not self.signatures:
            raise _unusable(folder, "it has no signature")
        self._warm_up(folder / _WARMUP)

    def signature(self, name: str) -> Signature:
        """Returns a signature, the default one for an empty name.

        Raises:
            InvalidRequestError: For a name that the model does not have.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise InvalidRequestError(
                f"unknown signature {name[:80]!r}",
                where=f"version {self.version}",
                expected=one_of(self.signatures),
                fix=nearest(name, self.signatures) or "choose one of them",
            )
        return self.signatures[name]

    @contextlib.contextmanager
    def used(self) -> Iterator[LoadedModel]:
        """Counts a request while it uses the version."""
        self.in_use += 1
        try:
            yield self
        finally:
            self.in_use -= 1

    def _warm_up(self, path: Path) -> None:
        """Runs the recorded requests, so that the first real ones are fast.

        Raises:
            DataError: For a record that is not a predict request.
        """
        if not path.is_file():
            return
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        for record in itertools.islice(records, _WARMUP_RECORDS):
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if not log.HasField("predict_log"):
                kind = log.WhichOneof("log_type")
                raise _unusable(path, f"warm-up by {kind}; expected predict_log")
            request = log.predict_log.request
            signature = self.signature(request.model_spec.signature_name)
            arrays = arrays_of(request.inputs, signature)
            signature.check(arrays)
            signature(arrays)


def _read(folder: Path) -> meta_graph_pb2.MetaGraphDef:
    """Returns the graph for serving, after checking its operations."""
    content = (folder / MODEL_FILE).read_bytes()
    try:
        saved = saved_model_pb2.SavedModel.FromString(content)
    except DecodeError as error:
        raise _unusable(folder, f"{MODEL_FILE} is damaged") from error
    graphs = [
        graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags
    ]
    if not graphs:
        raise _unusable(folder, 'no graph has the tag "serve"')
    graph = graphs[0].graph_def
    functions = (function.node_def for function in graph.library.function)
    ops = {node.op for node in itertools.chain(graph.node, *functions)}
    if ops & _REFUSED_OPS:
        raise _unusable(folder, f"it uses {', '.join(sorted(ops & _REFUSED_OPS))}")
    return graphs[0]


def _unusable(path: Path, why: str) -> DataError:
    return DataError(
        f"cannot be served: {' '.join(why.split())[:500]}",
        where=f"{path.parent.name}/{path.name}",
        fix="export it again with tfft export",
    )
