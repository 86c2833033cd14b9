"""Data sets of TensorFlow Datasets, prepared on the spot: no network."""

from __future__ import annotations

import shutil
import sys

import pytest
import tensorflow_datasets as tfds

from tfft.core.errors import DataError, MissingInputError
from tfft.data.sources import read

NEWS = {
    "train": [("café", 1, ["O", "B"]), ("b", 0, []), ("c", 1, ["B"])],
    "validation": [("d", 0, ["O"])],
    "unsupervised": [("e", -1, [])],
}


class TinyNews(tfds.core.GeneratorBasedBuilder):
    """Three rows to learn from."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=["bad", "good"]),
                    "tags": tfds.features.Sequence(
                        tfds.features.ClassLabel(names=["O", "B"])
                    ),
                }
            )
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in NEWS}

    def _generate_examples(self, split):
        for key, (text, label, tags) in enumerate(NEWS[split]):
            yield key, {"text": text, "label": label, "tags": tags}


class OnlyTested(TinyNews):
    """No rows to learn from."""

    def _split_generators(self, dl_manager):
        return {"test": self._generate_examples("train")}


class FarAway(TinyNews):
    """Rows behind a network that is not there."""

    def _split_generators(self, dl_manager):
        raise ConnectionError("no route to host\nand more")


def prepared(builder, folder):
    made = builder(data_dir=folder)
    made.download_and_prepare()
    return made.data_path


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    prepared(TinyNews, folder)
    tfds.core.add_data_dir(folder)
    yield folder
    tfds.core.utils.file_utils.clear_registered_data_dirs()


@pytest.fixture
def directory(data_dir, tmp_path):
    copy = tmp_path / "1.0.0"
    shutil.copytree(data_dir / "tiny_news" / "1.0.0", copy)
    return copy


def by_text(table):
    return sorted(zip(*table.columns.values(), strict=True))


@pytest.mark.parametrize("by_name", [True, False])
def test_a_prepared_data_set(directory, by_name):
    source = "tfds:tiny_news" if by_name else str(directory)
    tables = read(source)
    assert list(tables) == ["train", "validation"]
    assert by_text(tables["train"]) == [
        ("bad", [], "b"),
        ("good", ["B"], "c"),
        ("good", ["O", "B"], "café"),
    ]
    assert by_text(tables["validation"]) == [("bad", ["O"], "d")]
    assert list(tables["train"].columns) == ["label", "tags", "text"]
    assert tables["train"].where(2) == f"{source}/train row 3"


def test_the_order_is_the_same_each_time(directory):
    assert read(directory)["train"] == read(directory)["train"]


def test_a_data_set_is_prepared_when_it_is_not_there(tmp_path):
    spec = f"tfds:tiny_news/data_dir={tmp_path}"
    assert len(read(spec)["train"]) == 3
    assert (tmp_path / "tiny_news" / "1.0.0" / "dataset_info.json").is_file()


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("tfds:tiny_newz", ["no TFDS data set 'tiny_newz'", 'mean "tiny_news"?']),
        ("tfds:qqqq", ["no TFDS data set 'qqqq'", "see tfds.list_builders()"]),
        ("tfds:a b", ["no TFDS data set 'a b'", "expected tfds:NAME"]),
        ("tfds:tiny_news/other", ["'tiny_news/other'", "fix: choose a config"]),
        ("tfds:tiny_news:9.9.9", ["'tiny_news:9.9.9'", "fix: choose a config"]),
    ],
)
def test_unknown_names(data_dir, spec, parts):
    with pytest.raises(MissingInputError) as caught:
        read(spec)
    assert caught.value.where == spec
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_download_says_how_to_do_without_network(tmp_path):
    spec = f"tfds:far_away/data_dir={tmp_path}"
    with pytest.raises(MissingInputError) as caught:
        read(spec)
    message = str(caught.value)
    assert message.startswith(
        "TFDS data set far_away/1.0.0 could not be downloaded: no"
    )
    assert "no route to host" in message
    assert 'tfds.builder("far_away").download_and_prepare() on a machine' in message
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_a_data_set_without_rows_to_learn_from_is_refused(tmp_path):
    path = prepared(OnlyTested, tmp_path)
    with pytest.raises(DataError, match="no split is called train; found: test · "):
        read(path)


def test_a_damaged_folder_is_refused(directory):
    (directory / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read as a prepared TFDS") as caught:
        read(directory)
    assert caught.value.where == str(directory)


def test_a_folder_without_its_rows_is_refused(directory):
    for shard in directory.glob("*train*"):
        shard.unlink()
    with pytest.raises(DataError, match="fix: ") as caught:
        read(directory)
    assert str(directory / "train") in caught.value.where


def test_damaged_rows_are_refused(directory):
    (shard,) = directory.glob("*train*")
    shard.write_bytes(shard.read_bytes()[:-9] + b"x" * 9)
    with pytest.raises(DataError, match=r"reading failed: .* row 3 · fix: "):
        read(directory)


@pytest.mark.parametrize("package", ["tensorflow_datasets", "importlib_resources"])
def test_a_package_that_is_not_installed_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingInputError, match=f"package {package} is not installed"):
        read("tfds:tiny_news")
