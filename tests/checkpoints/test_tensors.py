"""Tensors on disk: what was written comes back, or nothing is assigned."""

import keras
import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

from tfft.checkpoints.tensors import load_variables, save_tensors
from tfft.core.errors import DataError, MissingInputError, StorageError
from tfft.models.weights import read_tensors

GENERATOR = np.random.default_rng(0)
WIDE = GENERATOR.normal(0, 1, (3, 4)).astype("float32")


@pytest.mark.parametrize(
    "value",
    [
        WIDE,
        WIDE.T,
        WIDE[:, ::2],
        WIDE.astype(ml_dtypes.bfloat16),
        np.array(3, "int64"),
        np.array([2, 5], "uint32"),
        np.zeros((0, 4), "float32"),
    ],
    ids=["plain", "transposed", "strided", "bfloat16", "scalar", "unsigned", "empty"],
)
def test_values_shapes_and_dtypes_come_back(tmp_path, value):
    save_tensors(tmp_path / "a.safetensors", {"x": value})
    (name, found), = read_tensors(tmp_path / "a.safetensors").items()  # fmt: skip
    assert name == "x"
    assert (found.shape, found.dtype) == (value.shape, value.dtype)
    np.testing.assert_array_equal(found, value)


def test_metadata_and_variables_are_written(tmp_path):
    path = tmp_path / "deep" / "a.safetensors"
    variable = keras.Variable(WIDE, name="kernel")
    save_tensors(path, {"kernel": variable}, {"format": "pt"})
    with safe_open(path, framework="np") as file:
        assert file.metadata() == {"format": "pt"}
        np.testing.assert_array_equal(file.get_tensor("kernel"), WIDE)


def test_no_tensors_at_all_can_be_written_and_read(tmp_path):
    save_tensors(tmp_path / "a.safetensors", {})
    assert read_tensors(tmp_path / "a.safetensors") == {}


def test_nothing_but_the_file_is_left(tmp_path):
    for _ in range(2):
        save_tensors(tmp_path / "a.safetensors", {"x": WIDE})
    assert [one.name for one in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": WIDE})

    def full(tensors, target, metadata):
        target.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(StorageError, match="No space left"):
        save_tensors(path, {"x": WIDE + 1})
    np.testing.assert_array_equal(read_tensors(path)["x"], WIDE)
    assert [one.name for one in tmp_path.iterdir()] == ["a.safetensors"]


def pair():
    """Returns two variables, all ones."""
    return {
        "a": keras.Variable(np.ones((3, 4)), dtype="float32"),
        "step": keras.Variable(np.array(1), dtype="int64"),
    }


def test_variables_take_the_tensors_of_their_names(tmp_path):
    path, variables = tmp_path / "a.safetensors", pair()
    save_tensors(path, {"step": np.array(7), "a": WIDE})
    load_variables(path, variables)
    np.testing.assert_array_equal(np.array(variables["a"]), WIDE)
    assert int(variables["step"]) == 7


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"a": WIDE}, "step is missing"),
        ({"a": WIDE, "step": np.array(7), "b": WIDE}, "b is not known"),
        ({"a": WIDE.T, "step": np.array(7)}, r"a has shape \(4, 3\), not \(3, 4\)"),
        ({"a": WIDE, "step": np.array([7])}, r"step has shape \(1,\), not \(\)"),
    ],
)
def test_tensors_that_do_not_fit_change_nothing(tmp_path, tensors, says):
    path, variables = tmp_path / "a.safetensors", pair()
    save_tensors(path, tensors)
    with pytest.raises(DataError, match=says) as caught:
        load_variables(path, variables)
    assert caught.value.where == str(path)
    assert (np.array(variables["a"]) == 1).all()
    assert int(variables["step"]) == 1


def test_ten_misfits_are_named_and_the_rest_counted(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {f"t{index:02}": WIDE for index in range(13)})
    with pytest.raises(DataError) as caught:
        load_variables(path, {})
    assert caught.value.what.count("is not known") == 10
    assert caught.value.what.endswith(" and 3 more")


def test_a_file_that_is_not_there_or_not_whole_says_so(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(MissingInputError, match=r"a\.safetensors"):
        load_variables(path, pair())
    save_tensors(path, {"a": WIDE, "step": np.array(7)})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match="not a complete safetensors file"):
        load_variables(path, pair())
