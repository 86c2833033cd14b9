#!/usr/bin/env bash
# tensorflow 2.21.0: one `tf.gather(variable, ids)` makes every later read of that
# variable copy the whole variable.
#
# Expected: looking up a few rows of an embedding table is a cheap read and does not
#   change how the variable behaves.
# Actual: `tf.gather` on a variable runs ResourceGather, which switches the variable to
#   "copy on read" for the rest of the process. From then on every ReadVariableOp,
#   anywhere, first copies the whole table. Gathering from `variable.read_value()` takes
#   the same time and does not switch the variable.
# Effect: a model that looks up its token embedding with `tf.gather(table, ids)`, and
#   also uses the table as its output layer, decays it or averages it, copies the table
#   at each such read.
#
# Output, for a table of 100,000 x 512 (205 MB), processor milliseconds per read:
#   after tf.gather(table.read_value(), ids)    0.13
#   after tf.gather(table, ids)                10.2
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check tensorflow==2.21.0

TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" 2> "$work/stderr" - <<'END' || { cat "$work/stderr" >&2; exit 1; }
import time

import tensorflow as tf


def read_after(lookup):
    """Returns processor milliseconds for a read of a table after one lookup."""
    table = tf.Variable(tf.random.normal((100_000, 512)))
    lookup_once = tf.function(lambda: tf.reduce_sum(lookup(table, tf.range(8))))
    read = tf.function(lambda: tf.reduce_sum(table.read_value()[:8]))
    lookup_once(), read()
    start = time.process_time()
    for _ in range(20):
        read()
    return (time.process_time() - start) / 20 * 1000


from_value = read_after(lambda table, ids: tf.gather(table.read_value(), ids))
from_variable = read_after(lambda table, ids: tf.gather(table, ids))
print(f"after tf.gather(table.read_value(), ids) {from_value:7.2f} ms")
print(f"after tf.gather(table, ids)              {from_variable:7.2f} ms")
assert from_variable > 10 * from_value, "reads no longer copy"
END
