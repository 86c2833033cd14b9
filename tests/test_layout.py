"""The package's files: no circle of imports, none too long, recipes few."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.conftest import HEAVY, LONGEST

PACKAGE = Path(__file__).parents[1] / "tfft"


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MOST_LINES = 350
MOST_RECIPES = 25
# Imports that close a circle and are there to be taken out.
KNOWN_CIRCLES = ()


def imported(path):
    """Returns the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if one in FILES else node.module for one in below}
    return found & set(FILES)


def circles(graph):
    """Returns the sets of modules that import each other, by way of others or not."""

    def reached(start):
        seen, ahead = set(), list(graph[start])
        while ahead:
            one = ahead.pop()
            if one not in seen:
                seen.add(one)
                ahead += graph[one]
        return seen

    ways = {one: reached(one) for one in graph}
    return {
        tuple(sorted(other for other in ways[one] if one in ways[other]))
        for one in graph
        if one in ways[one]
    }


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a", "e"}}
    assert circles(graph) == {("a", "b", "c"), ("e",)}


def test_no_files_import_each_other():
    graph = {name: imported(path) for name, path in FILES.items()}
    assert circles(graph) == set(KNOWN_CIRCLES)


def test_files_are_short_enough_to_read():
    lines = {name: path.read_text("utf-8").count("\n") for name, path in FILES.items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_recipes_are_few():
    assert len(list((PACKAGE / "recipes").glob("*.py"))) <= MOST_RECIPES


def test_the_files_that_tests_are_chosen_by_are_there():
    root = Path(__file__).parent
    gone = [n for n in (*HEAVY, *LONGEST) if not (root / f"{n}.py").is_file()]
    assert gone == []
