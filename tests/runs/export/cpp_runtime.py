"""Runs a SavedModel in TensorFlow's C++ runtime, by its C API and nothing else.

Run as a file. It loads the model as TF Serving does, with the operations of
TensorFlow Text registered as they are in the stock server.

python cpp_runtime.py SAVED_MODEL QUESTIONS.json ANSWERS.json
"""

import ctypes
import importlib.util
import json
import math
import sys
from pathlib import Path

STRING = 7
NUMBERS = {
    1: ctypes.c_float, 2: ctypes.c_double, 3: ctypes.c_int32, 4: ctypes.c_uint8,
    9: ctypes.c_int64, 10: ctypes.c_bool,
}  # fmt: skip
STRING_BYTES = 24  # sizeof(TF_TString)
POINTER = ctypes.c_void_p


class Output(ctypes.Structure):
    """TF_Output: a result of an operation."""

    _fields_ = (("operation", POINTER), ("index", ctypes.c_int))


RETURNS = {
    "TF_NewStatus": POINTER, "TF_Message": ctypes.c_char_p, "TF_NewGraph": POINTER,
    "TF_NewSessionOptions": POINTER, "TF_LoadLibrary": POINTER,
    "TF_LoadSessionFromSavedModel": POINTER, "TF_GraphOperationByName": POINTER,
    "TF_AllocateTensor": POINTER, "TF_TensorData": POINTER, "TF_Dim": ctypes.c_int64,
    "TF_StringGetDataPointer": POINTER, "TF_StringGetSize": ctypes.c_size_t,
    "TF_Version": ctypes.c_char_p,
}  # fmt: skip


def libraries():
    """Returns TensorFlow's libraries and those of the operations of its Text."""
    [tensorflow] = importlib.util.find_spec("tensorflow").submodule_search_locations
    [text] = importlib.util.find_spec("tensorflow_text").submodule_search_locations
    names = ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")
    core = [Path(tensorflow, name) for name in names]
    return core, sorted(Path(text, "python", "ops").glob("_*.so"))


class Runtime:
    """A SavedModel in a session of the C++ runtime."""

    def __init__(self, folder):
        core, extra = libraries()
        for path in core:
            self.library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        for name, returned in RETURNS.items():
            getattr(self.library, name).restype = returned
        self.status = POINTER(self.library.TF_NewStatus())
        for path in extra:
            self.call("TF_LoadLibrary", str(path).encode(), self.status)
        self.graph = POINTER(self.library.TF_NewGraph())
        options = POINTER(self.library.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        found = self.call(
            "TF_LoadSessionFromSavedModel", options, None, folder.encode(), tags, 1,
            self.graph, None, self.status,
        )  # fmt: skip
        self.session = POINTER(found)

    def call(self, name, *arguments):
        """Returns what a function of the C API does, or raises with its message."""
        result = getattr(self.library, name)(*arguments)
        if self.library.TF_GetCode(self.status):
            raise SystemExit(f"{name}: {self.library.TF_Message(self.status).decode()}")
        return result

    def place(self, tensor):
        """Returns the output that a name such as `serving_default_text:0` means."""
        operation, _, index = tensor.partition(":")
        found = self.library.TF_GraphOperationByName(self.graph, operation.encode())
        if not found:
            raise SystemExit(f"the graph has no operation {operation}")
        return Output(found, int(index))

    def run(self, inputs, outputs):
        """Returns outputs as lists, by name.

        Args:
            inputs: Dicts with `tensor`, `dtype`, `shape` and `values`.
            outputs: The tensor of each output.
        """
        feeds = (Output * len(inputs))(*(self.place(one["tensor"]) for one in inputs))
        given = (POINTER * len(inputs))(*(self.tensor(**one) for one in inputs))
        fetches = (Output * len(outputs))(*map(self.place, outputs.values()))
        results = (POINTER * len(outputs))()
        self.call(
            "TF_SessionRun", self.session, None, feeds, given, len(inputs), fetches,
            results, len(outputs), None, 0, None, self.status,
        )  # fmt: skip
        return dict(zip(outputs, map(self.content, results), strict=True))

    def tensor(self, tensor, dtype, shape, values):
        """Returns a TF_Tensor of flat values."""
        del tensor
        each = STRING_BYTES if dtype == STRING else ctypes.sizeof(NUMBERS[dtype])
        sizes = (ctypes.c_int64 * len(shape))(*shape)
        size = ctypes.c_size_t(each * math.prod(shape))
        made = self.library.TF_AllocateTensor(dtype, sizes, len(shape), size)
        start = self.library.TF_TensorData(POINTER(made))
        if dtype != STRING:
            (NUMBERS[dtype] * len(values)).from_address(start or 0)[:] = values
            return made
        for index, value in enumerate(values):
            place, content = POINTER(start + index * STRING_BYTES), value.encode()
            self.library.TF_StringInit(place)
            self.library.TF_StringCopy(place, content, ctypes.c_size_t(len(content)))
        return made

    def content(self, result):
        """Returns a TF_Tensor as nested lists."""
        tensor, library = POINTER(result), self.library
        rank = library.TF_NumDims(tensor)
        shape = [library.TF_Dim(tensor, axis) for axis in range(rank)]
        kind, count = library.TF_TensorType(tensor), math.prod(shape)
        start = library.TF_TensorData(tensor)
        if kind == STRING:
            places = (start + index * STRING_BYTES for index in range(count))
            values = [self.text(POINTER(place)) for place in places]
        else:
            values = list((NUMBERS[kind] * count).from_address(start)) if count else []
        library.TF_DeleteTensor(tensor)
        return nested(values, shape)

    def text(self, place):
        """Returns a TF_TString as text."""
        size = self.library.TF_StringGetSize(place)
        pointer = self.library.TF_StringGetDataPointer(place)
        return ctypes.string_at(pointer, size).decode()


def nested(values, shape):
    """Returns flat values as lists of a shape."""
    if not shape:
        return values[0]
    step = math.prod(shape[1:])
    rows = (values[row * step : (row + 1) * step] for row in range(shape[0]))
    return [nested(row, shape[1:]) for row in rows]


if __name__ == "__main__":
    folder, given, result = sys.argv[1:]
    runtime = Runtime(folder)
    questions = json.loads(Path(given).read_text(encoding="utf-8"))
    answers = [runtime.run(**question) for question in questions]
    strangers = {"tensorflow", "keras", "tfft", "tokenizers"} & set(sys.modules)
    if strangers:
        raise SystemExit(f"loaded beside the C API: {sorted(strangers)}")
    Path(result).write_text(json.dumps(answers), encoding="utf-8")
