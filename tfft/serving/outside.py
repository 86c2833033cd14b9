"""Runs a SavedModel in a process that has only TensorFlow and TensorFlow Text.

This file is run, never imported. Nothing of tfft, Keras or tokenizers can help the
model, so a model that works here works in TF Serving.

python outside.py SAVED_MODEL QUESTIONS.json ANSWERS.json
"""

import json
import sys

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

# A served model has no reason to use files, except to restore its variables.
_FILES = {
    "ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc",
    "PyFuncStateless",
    "InitializeTableFromTextFile", "InitializeTableFromTextFileV2", "WholeFileReaderV2",
    "TextLineReaderV2", "TFRecordReaderV2", "FixedLengthRecordReaderV2",
    "TextLineDataset", "TFRecordDataset", "FixedLengthRecordDataset",
}  # fmt: skip


def operations(folder):
    """Returns the names of all operations of a SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    with open(f"{folder}/saved_model.pb", "rb") as file:
        model = saved_model_pb2.SavedModel.FromString(file.read())
    graph = model.meta_graphs[0].graph_def
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    functions = {function.signature.name for function in graph.library.function}
    return {node.op for node in nodes} - functions


def ask(folder, questions):
    """Returns the outputs of each question and the TensorFlow Text operations used.

    Args:
        folder: The version folder.
        questions: Dicts with `signature` and `inputs`, lists by name.

    Raises:
        ValueError: For a model that uses files.
    """
    found = operations(folder)
    if found & _FILES:
        raise ValueError(f"it uses files: {sorted(found & _FILES)}")
    # Before the import below, which registers them.
    text = sorted(name for name in found if op_def_registry.get(name) is None)
    import tensorflow_text  # noqa: F401

    signatures = tf.saved_model.load(folder).signatures
    answers = []
    for question in questions:
        signature = signatures[question["signature"]]
        specs = signature.structured_input_signature[1]
        inputs = {
            name: tf.constant(value, specs[name].dtype)
            for name, value in question["inputs"].items()
        }
        outputs = signature(**inputs)
        answers.append({name: _plain(value) for name, value in outputs.items()})
    return {"answers": answers, "tensorflow_text": text}


def _plain(value):
    """Returns an output as JSON values, with the exact numbers."""
    array = value.numpy()
    if array.dtype != object:
        return array.tolist()
    return [_text(one) for one in array.tolist()]


def _text(value):
    return [_text(one) for one in value] if isinstance(value, list) else value.decode()


if __name__ == "__main__":
    folder, given, result = sys.argv[1:]
    with open(given, encoding="utf-8") as file:
        answers = ask(folder, json.load(file))
    strangers = {"tfft", "keras_hub", "tokenizers", "transformers"} & set(sys.modules)
    if strangers:
        raise SystemExit(f"loaded besides TensorFlow: {sorted(strangers)}")
    with open(result, "w", encoding="utf-8") as file:
        json.dump(answers, file)
