#!/usr/bin/env bash
# safetensors 0.8.0: `save_file` makes files that their owner alone may read, whatever
# the umask says, and takes the readers away from a file that it overwrites.
#
# Expected: as with open(), a new file has mode 666 less the umask (644 under 022, 664
#   under 002), and one that is overwritten keeps its mode.
# Instead: both have mode 600. `save_file` writes a private temporary file and renames it
#   onto the name, so the weights in a shared folder can be read by nobody else, while
#   config.json and tokenizer.json beside them can. A file written from the bytes of
#   `save` is like any other.
# So: a server that runs as another user cannot load what a training wrote, and an update
#   of a file in place breaks it. Set the mode after `save_file`, or write the bytes of
#   `save`.
#
# Seen, under umask 022:
#   open().write            644
#   open() of save()        644
#   save_file, new          600
#   save_file, over 644     600
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6

cd "$work"
"$work/venv/bin/python" - <<'END'
import os
import stat
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save, save_file

os.umask(0o022)
tensors = {"weight": np.arange(3.0)}


def mode(name):
    return f"{stat.S_IMODE(os.stat(name).st_mode):o}"


Path("config.json").write_text("{}")
Path("bytes.safetensors").write_bytes(save(tensors))
save_file(tensors, "new.safetensors")
Path("old.safetensors").write_bytes(save(tensors))
before = mode("old.safetensors")
save_file(tensors, "old.safetensors")
assert load_file("old.safetensors")["weight"].tolist() == [0, 1, 2]

found = {
    "open().write": mode("config.json"),
    "open() of save()": mode("bytes.safetensors"),
    "save_file, new": mode("new.safetensors"),
    f"save_file, over {before}": mode("old.safetensors"),
}
for name, value in found.items():
    print(f"{name:20}{value:>7}")
assert list(found.values()) == ["644", "644", "600", "600"], "the behaviour is gone"
END
