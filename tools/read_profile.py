"""Prints where the time of profiled training steps goes, by operation and by place.

Places whose names differ only in numbers, such as those of repeated layers, are summed.

    tfft finetune … --profile 10,15
    python tools/read_profile.py OUT [--top 20]

OUT is the output folder of the run. An operation's seconds run from its start to its
end, on any number of threads. Operations overlap, so that the sum exceeds the time of
the steps. Operations compiled by XLA are not listed.
"""

import argparse
import collections
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tensorflow.tsl.profiler.protobuf import xplane_pb2

# Operations that only wait for the ones they contain.
_OUTER = ("While", "StatefulPartitionedCall", "PartitionedCall", "If", "StatelessWhile")

_NUMBER = re.compile(r"_?\d+\b")


def main() -> int:
    """Prints a table by operation and one by place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the output folder of a run")
    parser.add_argument("--top", type=int, default=20, help="lines of each table")
    options = parser.parse_args()
    found = sorted(options.folder.rglob("*.xplane.pb"))
    if not found:
        print(f"no profile below {options.folder}: train with --profile 10,15")
        return 1
    space = xplane_pb2.XSpace.FromString(found[-1].read_bytes())
    kinds: collections.Counter[str] = collections.Counter()
    names: collections.Counter[str] = collections.Counter()
    counts: collections.Counter[str] = collections.Counter()
    for name, kind, seconds in operations(space):
        kinds[kind] += seconds
        names[f"{kind} {_NUMBER.sub('', name)}"] += seconds
        counts[kind] += 1
    total = sum(kinds.values())
    print(f"{total:.2f} s of operations")
    for kind, seconds in kinds.most_common(options.top):
        print(f"{seconds:9.3f} s {seconds / total:6.1%} {counts[kind]:7,} x {kind}")
    print()
    for name, seconds in names.most_common(options.top):
        print(f"{seconds:9.3f} s {seconds / total:6.1%} {name}")
    return 0


def operations(space: xplane_pb2.XSpace) -> Iterator[tuple[str, str, float]]:
    """Yields the name, the kind and the seconds of each operation that ran."""
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name, _, kind = plane.event_metadata[event.metadata_id].name.partition(
                    ":"
                )
                if kind.lstrip("_")[:1].isupper() and kind not in _OUTER:
                    yield name, kind, event.duration_ps * 1e-12


if __name__ == "__main__":
    sys.exit(main())
