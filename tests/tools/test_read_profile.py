"""What tools/read_profile.py takes out of a profile."""

import importlib.util
from pathlib import Path

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

TOOL = Path(__file__).parents[2] / "tools" / "read_profile.py"
EVENTS = [
    ("model/dense/MatMul:_MklMatMul", 3e12),
    ("model/dense_12/MatMul:_MklMatMul", 1e12),
    ("gelu/mul:Mul", 1e12),
    ("while:While", 9e12),  # what it waits for is counted by itself
    ("ThreadpoolListener::StartRegion", 9e12),
]


@pytest.fixture
def folder(tmp_path):
    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="/host:CPU")
    line = plane.lines.add()
    for number, (name, picoseconds) in enumerate(EVENTS):
        plane.event_metadata[number].name = name
        line.events.add(metadata_id=number, duration_ps=int(picoseconds))
    inside = tmp_path / "logs" / "plugins"
    inside.mkdir(parents=True)
    (inside / "host.xplane.pb").write_bytes(space.SerializeToString())
    return tmp_path


@pytest.fixture
def read(monkeypatch, capsys):
    """Runs the tool; gives its exit status and its lines."""
    spec = importlib.util.spec_from_file_location("read_profile", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["read_profile.py", *map(str, arguments)])
        status = tool.main()
        return status, capsys.readouterr().out.splitlines()

    return run


def test_seconds_by_kind_and_by_place_are_the_sums_of_the_events(folder, read):
    status, lines = read(folder)
    assert status == 0
    assert lines[0] == "5.00 s of operations"
    assert lines[1].split() == ["4.000", "s", "80.0%", "2", "x", "_MklMatMul"]
    assert lines[2].split() == ["1.000", "s", "20.0%", "1", "x", "Mul"]
    assert lines[4].split() == [
        "4.000",
        "s",
        "80.0%",
        "_MklMatMul",
        "model/dense/MatMul",
    ]
    assert len(lines) == 6
    assert len(read(folder, "--top", "1")[1]) == 4


def test_a_folder_without_a_profile_says_how_to_make_one(tmp_path, read):
    status, lines = read(tmp_path)
    assert status == 1
    assert "--profile 10,15" in lines[0]
