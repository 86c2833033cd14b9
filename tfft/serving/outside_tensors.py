"""Asks a LiteRT or an ONNX model in a process that has its runtime alone.

Run as a file, never imported by one, as outside.py.

python outside_tensors.py MODEL QUESTIONS.json ANSWERS.json
"""

import json
import sys
import warnings

import numpy as np


def litert(path):
    """Returns what answers by LiteRT; without its package, by TensorFlow's own."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():
        # TensorFlow's own tells to use the package.
        warnings.simplefilter("ignore", UserWarning)
        runner = Interpreter(model_path=path).get_signature_runner()
    return lambda inputs: runner(**inputs)


def onnx(path):
    """Returns what answers by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def ask(model, questions):
    """Returns the outputs of each question, lists by name.

    Args:
        model: The path of a `.tflite` or an `.onnx` file.
        questions: Ids by the names of the inputs.
    """
    answer = litert(model) if model.endswith(".tflite") else onnx(model)
    answers = []
    for question in questions:
        found = answer({name: np.array(ids, "int32") for name, ids in question.items()})
        answers.append({name: value.tolist() for name, value in found.items()})
    return answers


if __name__ == "__main__":
    model, given, result = sys.argv[1:]
    with open(given, encoding="utf-8") as file:
        answers = ask(model, json.load(file))
    strangers = {"tfft", "keras_hub", "tokenizers", "transformers"} & set(sys.modules)
    if strangers:
        raise SystemExit(f"loaded beside the runtime: {sorted(strangers)}")
    with open(result, "w", encoding="utf-8") as file:
        json.dump(answers, file)
