"""What is chosen on which machine."""

import pytest
import tensorflow as tf

from tfft.training import hardware


@pytest.fixture
def machine(monkeypatch):
    """Pretends to be a machine with some devices and CPU flags."""

    def pretend(gpus=(), tpus=(), flags=()):
        monkeypatch.setattr(hardware, "devices", lambda: (list(gpus), list(tpus)))
        monkeypatch.setattr(hardware, "cpu_flags", lambda: set(flags))
        monkeypatch.setattr(
            tf.config.experimental,
            "get_device_details",
            lambda gpu: {"compute_capability": gpu} if gpu else {},
        )

    return pretend


CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Some: CPU
flags\t\t: fpu sse4_2 avx512_bf16 amx_bf16
bugs\t\t: none

processor\t: 1
flags\t\t: other
"""


def test_flags_are_those_of_the_first_cpu(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO)
    assert hardware.cpu_flags(path) == {"fpu", "sse4_2", "avx512_bf16", "amx_bf16"}


def test_without_file_or_line_there_are_no_flags(tmp_path):
    path = tmp_path / "cpuinfo"
    assert hardware.cpu_flags(path) == set()
    path.write_text("Features\t: fp asimd\n")
    assert hardware.cpu_flags(path) == set()


@pytest.mark.parametrize(
    ("parts", "policy"),
    [
        ({}, "float32"),
        ({"flags": ["avx2", "avx512f"]}, "float32"),
        ({"flags": ["amx_bf16"]}, "mixed_bfloat16"),
        ({"flags": ["avx512_bf16"]}, "mixed_bfloat16"),
        ({"gpus": [(8, 0)]}, "mixed_bfloat16"),
        ({"gpus": [(9, 0), (8, 6)]}, "mixed_bfloat16"),
        ({"gpus": [(7, 5)], "flags": ["amx_bf16"]}, "mixed_float16"),
        ({"gpus": [(9, 0), (7, 5)]}, "mixed_float16"),
        ({"gpus": [(8, 0), (6, 1)]}, "float32"),
        ({"gpus": [None]}, "float32"),
        ({"tpus": ["tpu"]}, "mixed_bfloat16"),
    ],
)
def test_auto_takes_bfloat16_where_the_hardware_multiplies_it(parts, policy, machine):
    machine(**parts)
    assert hardware.choose_precision("auto") == policy
    for asked in ("float32", "mixed_bfloat16"):
        assert hardware.choose_precision(asked) == asked


@pytest.mark.parametrize(
    ("parts", "compiles"),
    [({}, False), ({"gpus": [(9, 0)]}, True), ({"tpus": ["tpu"]}, True)],
)
def test_the_step_is_compiled_on_accelerators_unless_told(parts, compiles, machine):
    machine(**parts)
    assert hardware.choose_compilation(None) is compiles
    assert hardware.choose_compilation(True) is True
    assert hardware.choose_compilation(False) is False


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"gpus": [(9, 0)]}, "1 GPU"),
        ({"gpus": [(9, 0), (9, 0)]}, "2 GPUs"),
        ({"tpus": ["a"] * 8, "gpus": [(9, 0)]}, "8 TPU cores"),
        ({}, "CPU, 12 cores"),
    ],
)
def test_devices_in_words(parts, words, machine, monkeypatch):
    machine(**parts)
    monkeypatch.setattr(hardware.os, "cpu_count", lambda: 12)
    assert hardware.describe() == words


def test_devices_are_those_of_tensorflow(monkeypatch):
    kinds = {"GPU": ["gpu"], "TPU": []}
    monkeypatch.setattr(tf.config, "list_physical_devices", kinds.__getitem__)
    assert hardware.devices() == (["gpu"], [])
