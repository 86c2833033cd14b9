"""A registry finds the modules of its package and explains unknown names."""

from __future__ import annotations

import sys

import pytest

from tfft.core.config import configuration
from tfft.core.errors import ConfigError
from tfft.core.registry import Registry

PACKAGE = "registry_of_shapes"
MODULE = """
from tfft.core.config import configuration
from registry_of_shapes import SHAPES

@SHAPES.register("{name}")
@configuration()
class Shape:
    size: int = 1
"""


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    folder = tmp_path / PACKAGE
    (folder / "heavy").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from tfft.core.registry import Registry\n"
        f'SHAPES = Registry("shape", "{PACKAGE}")\n'
    )
    for name in ("square", "circle"):
        (folder / f"{name}.py").write_text(MODULE.format(name=name))
    (folder / "heavy" / "__init__.py").write_text("raise ImportError('too heavy')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__(PACKAGE).SHAPES
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_modules_of_the_package_register_themselves(shapes):
    assert shapes.names() == ["circle", "square"]


def test_modules_are_imported_at_the_first_look_up(shapes):
    assert f"{PACKAGE}.circle" not in sys.modules
    assert shapes.get("circle").__module__ == f"{PACKAGE}.circle"


def test_subpackages_are_left_alone(shapes):
    shapes.names()
    assert f"{PACKAGE}.heavy" not in sys.modules


def test_a_class_knows_its_name(shapes):
    assert shapes.get("square").name == "square"


def test_an_unknown_name_names_the_nearest(shapes):
    with pytest.raises(ConfigError) as caught:
        shapes.get("sqare")
    assert caught.value.what == "unknown shape 'sqare'"
    assert caught.value.expected == "one of: circle, square"
    assert caught.value.fix == 'did you mean "square"?'


def test_a_name_becomes_an_object_with_options(shapes):
    made = shapes.resolve("circle", {"size": "3"})
    assert (made.name, made.size) == ("circle", 3)


def test_a_mapping_becomes_an_object_and_options_beside_it_win(shapes):
    assert shapes.resolve({"name": "circle", "size": 3}).size == 3
    assert shapes.resolve({"name": "circle", "size": 3}, {"size": 4}).size == 4


def test_a_mapping_needs_a_name(shapes):
    with pytest.raises(ConfigError, match="has no name") as caught:
        shapes.resolve({"size": 3})
    assert caught.value.fix == "add the key name"


def test_an_object_stands_for_itself(shapes):
    circle = shapes.get("circle")(size=7)
    assert shapes.resolve(circle) is circle


def test_an_object_takes_no_options_beside_it(shapes):
    with pytest.raises(ConfigError, match="options are given too"):
        shapes.resolve(shapes.get("circle")(), {"size": 3})


@pytest.mark.parametrize("spec", [None, 3, object, ["circle"]])
def test_anything_else_is_refused_with_its_type(shapes, spec):
    with pytest.raises(ConfigError) as caught:
        shapes.resolve(spec)
    assert f"is of type {type(spec).__name__}" in caught.value.what
    assert caught.value.expected == "a name (circle, square) or an object of tfft"


def test_a_name_belongs_to_one_class():
    registry = Registry("shape", "json")
    registry.register("circle")(type("Circle", (), {}))
    with pytest.raises(ValueError, match="'circle' is registered twice"):
        registry.register("circle")(type("Other", (), {}))


def test_options_of_an_entry_are_checked(shapes):
    with pytest.raises(ConfigError, match='did you mean "size"'):
        shapes.resolve("circle", {"siez": 3})


def test_a_class_may_register_from_outside(shapes):
    @shapes.register("triangle")
    @configuration()
    class Triangle:
        size: int = 3

    assert shapes.names() == ["circle", "square", "triangle"]
    assert shapes.resolve("triangle") == Triangle()
