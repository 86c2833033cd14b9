"""Model folders that someone else made to do harm, and a watch over what is done."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import struct
import sys
import time
from pathlib import Path

from tests.goldens import ROOT, golden
from tfft.core.errors import TfftError
from tfft.models.assign import assign_checkpoint
from tfft.models.huggingface import load_backbone
from tfft.models.tokenizer_files import read_tokenizer
from tfft.models.weights import read_all_tensors, weight_files

WEIGHTS, CONFIG = "model.safetensors", "config.json"
INDEX = f"{WEIGHTS}.index.json"
NAMES = ("bert-classifier", "gpt2-config", "roberta-classifier", "llama")
_INDEX = b'{"metadata": {}, "weight_map": {"a": "x.safetensors", "b": "x.safetensors"}}'
_WATCHED = ("import", "open", "pickle.find_class", "os.system", "subprocess.Popen")
_seen = None


def _hook(event, arguments):
    if _seen is not None and event.startswith((*_WATCHED, "socket.", "ctypes.dlopen")):
        _seen.append((event, arguments[0] if arguments else None))


sys.addaudithook(_hook)


@contextlib.contextmanager
def watched():
    """Yields the list of what happens inside: imports, files opened, processes."""
    global _seen
    outer, _seen = _seen, []
    try:
        yield _seen
    finally:
        _seen = outer


def deeds_outside(events, folder):
    """Returns the events but the opening of files in a folder."""
    inside = os.fspath(folder) + os.sep
    return [
        (event, subject)
        for event, subject in events
        if event != "open" or not str(subject).startswith(inside)
    ]


def outcome(act, folder, limit=1.0):
    """Returns the error of a call, or None, after checking how it went.

    It must end within a second of computing, raise nothing but tfft's own errors, and
    import, start and open nothing outside the folder.
    """
    error = None
    with watched() as events:
        start = time.thread_time()
        try:
            act()
        except TfftError as caught:
            error = caught
        spent = time.thread_time() - start
    assert spent < limit, f"{spent:.1f} s"
    assert not deeds_outside(events, folder)
    return error


def safetensors_bytes(header, data=b""):
    """Returns a safetensors file of any header, JSON or bytes."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def _one(**changes):
    """Returns a header of one tensor of 4 floats, with changes; None removes a key."""
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **changes}
    return {"x": {key: value for key, value in entry.items() if value is not None}}


_DATA = bytes(16)


def crafted_weights(good):
    """Returns files that are no whole safetensors file, by what is wrong."""
    length = struct.unpack("<Q", good[:8])[0]
    entry = _one()["x"]
    second = {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}
    wrong = {
        "empty": b"",
        "four bytes": b"\0\0\0\0",
        "a length alone": struct.pack("<Q", 10),
        "no header": struct.pack("<Q", 0),
        "header of 2^63": struct.pack("<Q", 2**63) + good[8:],
        "header of 2^64-1": b"\xff" * 8 + good[8:],
        "header longer than the file": struct.pack("<Q", len(good)) + good[8:],
        "header over 100 MB": struct.pack("<Q", 100_000_001) + good[8:],
        "header cut by one": struct.pack("<Q", length - 1) + good[8:],
        "header one too long": struct.pack("<Q", length + 1) + good[8:],
        "header is no JSON": safetensors_bytes(b"not json"),
        "header is a list": safetensors_bytes([]),
        "header is a number": safetensors_bytes(3),
        "header is text": safetensors_bytes('"x"'),
        "header is not UTF-8": safetensors_bytes(b'{"\xff":{}}'),
        "header of depth 100,000": safetensors_bytes(b'{"x":' * 100_000),
        "entry is a list": safetensors_bytes({"x": []}),
        "no dtype": safetensors_bytes(_one(dtype=None), _DATA),
        "no shape": safetensors_bytes(_one(shape=None), _DATA),
        "no offsets": safetensors_bytes(_one(data_offsets=None), _DATA),
        "unknown dtype": safetensors_bytes(_one(dtype="PICKLE"), _DATA),
        "dtype is a number": safetensors_bytes(_one(dtype=3), _DATA),
        "dtype of another size": safetensors_bytes(_one(dtype="F64"), _DATA),
        "8-bit floats": safetensors_bytes(_one(dtype="F8_E4M3", shape=[4, 4]), _DATA),
        "negative size": safetensors_bytes(_one(shape=[-2, -2]), _DATA),
        "size is a fraction": safetensors_bytes(_one(shape=[2.5, 2]), _DATA),
        "size of 1e308": safetensors_bytes(_one(shape=[1e308]), _DATA),
        "sizes that overflow": safetensors_bytes(_one(shape=[2**32, 2**32]), _DATA),
        "sizes of nothing that overflow": safetensors_bytes(
            _one(shape=[0, 2**63, 2**63], data_offsets=[0, 0])
        ),
        "sizes larger than the data": safetensors_bytes(_one(shape=[9, 9]), _DATA),
        "shape is text": safetensors_bytes(_one(shape="22"), _DATA),
        "offsets the wrong way round": safetensors_bytes(
            _one(data_offsets=[16, 0]), _DATA
        ),
        "offsets beyond the end": safetensors_bytes(
            _one(data_offsets=[0, 2**40]), _DATA
        ),
        "negative offsets": safetensors_bytes(_one(data_offsets=[-16, 0]), _DATA),
        "three offsets": safetensors_bytes(_one(data_offsets=[0, 8, 16]), _DATA),
        "overlap": safetensors_bytes({"x": entry, "y": second}, bytes(24)),
        "a hole": safetensors_bytes(_one(data_offsets=[8, 24]), bytes(24)),
        "bytes at the end": safetensors_bytes(_one(), _DATA + b"more"),
        "data cut off": safetensors_bytes(_one(), _DATA[:-1]),
        "metadata of numbers": safetensors_bytes(
            {"__metadata__": {"a": 1}, **_one()}, _DATA
        ),
        "metadata is a list": safetensors_bytes({"__metadata__": [], **_one()}, _DATA),
        "a pickle": b"\x80\x04cos\nsystem\n(S'exit'\ntR.",
        "a zip": b"PK\x03\x04" + bytes(100),
        "a NumPy file": b"\x93NUMPY\x01\x00" + bytes(100),
        "gzip": b"\x1f\x8b\x08" + bytes(100),
        "a web page": b"<!DOCTYPE html><html></html>",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid x",
        "the first half": good[: len(good) // 2],
        "all but a byte": good[:-1],
    }
    return wrong


SIGNS = (b"99999", b"-", b'"', b"[", b"{", b"}", b"\0")


def mutant(content, generator):
    """Returns bytes with a few changes, most of them near the start."""
    content = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        reach = len(content) if generator.random() < 0.3 else min(len(content), 4000)
        at = generator.randrange(max(reach, 1))
        kind = generator.random()
        if kind < 0.5 and content:
            content[at] = generator.choice(
                (0, 0xFF, content[at] ^ 1 << generator.randrange(8))
            )
        elif kind < 0.65:
            del content[at : at + generator.choice((1, 2, 8, 100))]
        elif kind < 0.8:
            content[at:at] = content[at : at + generator.choice((1, 8, 50))]
        else:
            content[at:at] = generator.choice(
                (b"9" * 5, b"-", b'"', b"[", b"{", b"}", b"\0")
            )
        if not content:
            break
    return bytes(content)


ODD = (
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**63, 10**40, 0.5, -0.5, 1e308, "", "0",
    "../x", "/etc/passwd", "gelu", "relu", "os.system", "bert", "llama", [], [1], {},
    {"rope_type": "yarn"}, {"rope_theta": []}, float("nan"), float("inf"), "\ud800",
    "a" * 1000, [[[[]]]],
)  # fmt: skip
STRANGE = (
    "auto_map", "_attn_implementation_internal", "trust_remote_code", "torch_dtype",
    "quantization_config", "rope_scaling", "rope_parameters", "head_dim", "n_inner",
    "id2label", "architectures", "registered_name", "model_type", "tie_word_embeddings",
    "is_decoder", "pad_token_id", "sliding_window", "mlp_bias",
)  # fmt: skip


def odd_config(config, generator):
    """Returns the bytes of a config with a few keys changed, added or removed."""
    config = dict(config)
    for _ in range(generator.randint(1, 3)):
        key = generator.choice([*config, *STRANGE])
        if generator.random() < 0.15:
            config.pop(key, None)
        else:
            config[key] = generator.choice(ODD)
    return json.dumps(config).encode("ascii")


def mutants(seed, count):
    """Yields a generator for each mutant, so that one can be made again."""
    for index in range(count):
        yield random.Random(f"{seed} {index}")


def write_mutant(path, content):
    """Replaces a file; quicker than unlinking it."""
    Path(path).write_bytes(content)


def build_once(monkeypatch):
    """Lets KerasHub build backbones of the same arguments only once."""
    import keras_hub

    for name in ("Bert", "GPT2", "Roberta", "Llama", "Mistral", "Qwen", "DistilBert"):
        kind = getattr(keras_hub.models, f"{name}Backbone")
        monkeypatch.setattr(keras_hub.models, f"{name}Backbone", functools.cache(kind))


def assign(one, folder):
    """Loads the weights of a folder into a backbone."""
    tensors = read_all_tensors(weight_files(folder))
    return assign_checkpoint(one.backbone, one.architecture, tensors, one.config)


def fuzz_weights(loaded, folder, count):
    """Returns how many mutants were refused and how many were loaded."""
    refused = 0
    for index, generator in enumerate(mutants("weights", count)):
        name = NAMES[index % len(NAMES)]
        content = (golden(name)[0] / WEIGHTS).read_bytes()
        write_mutant(folder / WEIGHTS, mutant(content, generator))
        error = outcome(lambda name=name: assign(loaded[name], folder), folder)
        refused += error is not None
    return refused, count - refused


def fuzz_configs(folder, count):
    """Returns how many mutants were refused and how many were loaded."""
    for name in NAMES:
        load_backbone(golden(name)[0])  # imports what it needs
    refused = 0
    for index, generator in enumerate(mutants("configs", count)):
        source = golden(NAMES[index % len(NAMES)])[0]
        if index < len(NAMES) or index % 400 < len(NAMES):
            shutil.copy(source / WEIGHTS, folder / f"{index % len(NAMES)}")
        shutil.copy(folder / f"{index % len(NAMES)}", folder / WEIGHTS)
        config = json.loads((source / CONFIG).read_text())
        content = odd_config(config, generator)
        if generator.random() < 0.3:
            content = mutant((source / CONFIG).read_bytes(), generator)
        write_mutant(folder / CONFIG, content)
        # A config that is right but other builds another backbone, which takes longer.
        error = outcome(lambda: load_backbone(folder), folder, limit=5)
        refused += error is not None
    return refused, count - refused


def fuzz_indexes(folder, count):
    """Returns how many mutants were refused and how many were read."""
    (folder / WEIGHTS).unlink(missing_ok=True)
    (folder / "x.safetensors").write_bytes((ROOT / NAMES[0] / WEIGHTS).read_bytes())
    refused = 0
    for generator in mutants("indexes", count):
        write_mutant(folder / INDEX, mutant(_INDEX, generator))
        refused += outcome(lambda: weight_files(folder), folder) is not None
    return refused, count - refused


def fuzz_tokenizers(folder, count):
    """Returns how many mutants were refused and how many were read."""
    read_tokenizer(ROOT / "roberta-tokenizer")  # imports what it needs
    refused = 0
    for index, generator in enumerate(mutants("tokenizers", count)):
        name = ("tokenizer.json", "vocab.json", "merges.txt")[index % 3]
        for file in ("tokenizer.json", "vocab.json", "merges.txt"):
            (folder / file).unlink(missing_ok=True)
            if name == file or name != "tokenizer.json" != file:
                shutil.copy(ROOT / "roberta-tokenizer" / file, folder / file)
        content = (folder / name).read_bytes()
        write_mutant(folder / name, mutant(content, generator))
        refused += outcome(lambda: read_tokenizer(folder), folder) is not None
    return refused, count - refused
