"""Runs a LiteRT or ONNX model in a process that has only its runtime.

Like outside.py, this file is run, never imported.

python outside_tensors.py MODEL QUESTIONS.json ANSWERS.json
"""

import json
import sys
import warnings

import numpy as np


def litert(path):
    """Returns a function that runs LiteRT, or TensorFlow's own interpreter."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():
        # TensorFlow's interpreter warns to use the package instead.
        warnings.simplefilter("ignore", UserWarning)
        runner = Interpreter(model_path=path).get_signature_runner()
    return lambda inputs: runner(**inputs)


def onnx(path):
    """Returns a function that runs ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def ask(model, questions):
    """Returns the outputs of each question, lists by name.

    Args:
        model: The path of a `.tflite` or an `.onnx` file.
        questions: Ids by input name.
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
        raise SystemExit(f"loaded besides the runtime: {sorted(strangers)}")
    with open(result, "w", encoding="utf-8") as file:
        json.dump(answers, file)
