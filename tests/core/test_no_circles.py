"""No two files of tfft need each other, not even for their types."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import tfft

ROOT = Path(tfft.__file__).parent


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imports_of(path, modules):
    """Returns every module of tfft that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in modules else node.module)
    return found & modules - {module_of(path)}


def test_files_import_each_other_in_one_direction():
    files = {module_of(path): path for path in ROOT.rglob("*.py")}
    assert len(files) > 300
    graph = {name: imports_of(path, set(files)) for name, path in files.items()}
    assert "tfft.core.errors" in graph["tfft.methods.adapter"]
    TopologicalSorter(graph).prepare()  # names the files of a circle in its error
