"""Adapters written to disk and read again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfft
from tests.conformance.table import METHOD_TABLE, exception
from tfft.checkpoints.adapters import read_adapter, save_adapter
from tfft.core.errors import ConfigError
from tfft.models.architecture import architecture_of

ROOT = Path(__file__).parents[2]
# What the other process does; it says how far its states are from the stored ones.
PROGRAM = """
import json, sys
from pathlib import Path
import keras, keras_hub, numpy as np
import tfft
folder = Path(sys.argv[1])
inputs = dict(np.load(folder / "inputs.npz"))
found = {}
for name in json.loads(sys.argv[2]):
    backbone = keras_hub.models.BertBackbone.from_config(
        json.loads((folder / "config.json").read_text()))
    keras.utils.set_random_seed(12345)
    backbone.load_weights(folder / "base.weights.h5")
    tfft.load_adapter(backbone, folder / name)
    states = np.array(backbone(inputs)["sequence_output"])
    expected = np.load(folder / f"{name}.npy")
    found[name] = float(np.abs(states - expected).max())
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with an adapter of every method, and what each computes."""
    import keras

    from tests.conformance.conftest import move
    from tests.conformance.table import resolve
    from tests.fixtures.bert import random_batch, tiny_backbone

    folder = tmp_path_factory.mktemp("adapters")
    batch = random_batch()
    np.savez(folder / "inputs.npz", **batch)
    names = [one for one in METHOD_TABLE if not exception(one, "new_process")]
    for name in names:
        backbone = tiny_backbone()
        if not (folder / "config.json").exists():
            config = json.dumps(backbone.get_config())
            (folder / "config.json").write_text(config)
            backbone.save_weights(folder / "base.weights.h5")
        adapter = resolve(name).apply(backbone, architecture_of(backbone), 0)
        move(adapter)
        save_adapter(adapter, folder / name)
        np.save(folder / f"{name}.npy", np.array(backbone(batch)["sequence_output"]))
    keras.backend.clear_session()
    return folder


@pytest.fixture(scope="module")
def differences(written):
    """What the other process found, by method."""
    names = [one for one in METHOD_TABLE if not exception(one, "new_process")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(written), json.dumps(names)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_new_process(name, differences, backbone, apply, tmp_path):
    if exception(name, "new_process"):
        with pytest.raises(ConfigError, match="nothing to save"):
            save_adapter(apply(name, backbone), tmp_path / "folder")
        return
    assert differences[name] == 0


def test_serialised(name, written, make_backbone, tmp_path):
    if exception(name, "serialised"):
        return
    backbone = make_backbone()
    adapter, _ = read_adapter(backbone, architecture_of(backbone), written / name)
    save_adapter(adapter, tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == sorted(path.name for path in (written / name).iterdir())
    for file in files:
        ours, before = (one / file for one in (tmp_path, written / name))
        if file.endswith(".safetensors"):
            assert ours.read_bytes() == before.read_bytes(), file
    again = make_backbone()
    twice, _ = read_adapter(again, architecture_of(again), tmp_path)
    save_adapter(twice, tmp_path / "twice")
    for file in files:
        assert (tmp_path / file).read_bytes() == (
            tmp_path / "twice" / file
        ).read_bytes(), file


def test_an_adapter_of_another_shape_is_refused_and_the_backbone_left_plain(
    written, make_backbone
):
    from tfft.compute.layers import spots
    from tfft.core.errors import DataError

    for name in ("bottleneck", "sparse", "lora", "ia3"):
        backbone = make_backbone(hidden_dim=8)
        before = [np.array(v) for v in backbone.weights]
        with pytest.raises(DataError):
            tfft.load_adapter(backbone, written / name)
        for value, variable in zip(before, backbone.weights, strict=True):
            np.testing.assert_array_equal(np.array(variable), value)
        ours = [s for s in spots(backbone) if hasattr(s.layer, "adapter_variables")]
        assert not ours
