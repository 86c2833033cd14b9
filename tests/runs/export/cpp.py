"""What a SavedModel answers in TensorFlow's C++ runtime, the one of TF Serving."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("cpp_runtime.py")


def library():
    """Returns the path of the C++ runtime that the TensorFlow package brings."""
    folder = importlib.util.find_spec("tensorflow").submodule_search_locations[0]
    return Path(folder, "libtensorflow_cc.so.2")


needs_runtime = pytest.mark.skipif(
    not library().is_file(), reason=f"this TensorFlow has no {library().name}"
)


def signatures(folder):
    """Returns the signatures of a SavedModel, as its file has them."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = Path(folder, "saved_model.pb").read_bytes()
    model = saved_model_pb2.SavedModel.FromString(content)
    [graph] = model.meta_graphs
    return {
        name: one
        for name, one in graph.signature_def.items()
        if not name.startswith("__")
    }


def ask_cpp(folder, questions):
    """Returns the answers of a SavedModel in a process without Python's TensorFlow.

    Args:
        folder: The version folder.
        questions: Dicts with `signature` and `inputs`, lists by name.

    Returns:
        The outputs of each question, lists by name.
    """
    known = signatures(folder)
    plain = [_plain(known[one["signature"]], one["inputs"]) for one in questions]
    with tempfile.TemporaryDirectory() as scratch:
        given, result = Path(scratch, "questions.json"), Path(scratch, "answers.json")
        given.write_text(json.dumps(plain), encoding="utf-8")
        command = [sys.executable, "-I", SCRIPT, folder, given, result]
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            cwd=scratch,
            timeout=600,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(result.read_text(encoding="utf-8"))


def _plain(signature, inputs):
    """Returns a question in the names of the graph, which the script needs."""
    assert set(inputs) == set(signature.inputs)
    given = []
    for name, values in inputs.items():
        array = np.array(values)
        info = signature.inputs[name]
        given.append(
            {
                "tensor": info.name,
                "dtype": info.dtype,
                "shape": array.shape,
                "values": array.ravel().tolist(),
            }
        )
    outputs = {name: info.name for name, info in signature.outputs.items()}
    return {"inputs": given, "outputs": outputs}
