# Sourced by tools/demo and tools/test: a virtual environment with tfft in it.
# Set EXTRAS before, such as "[dev]". Leaves $PYTHON pointing into it.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
  local candidate
  for candidate in python3.12 python3.11 python3 python; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
      2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: no Python 3.11 to 3.13 found · fix: install one" >&2
  return 66
}

if [ ! -x .venv/bin/python ]; then
  echo "== making the virtual environment .venv"
  "$(find_python)" -m venv .venv
fi
PYTHON="$PWD/.venv/bin/python"
stamp=".venv/tfft-${EXTRAS//[^a-z]/}"
if [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
  echo "== installing tfft${EXTRAS} (TensorFlow is large: this takes minutes)"
  # Python compiles what it imports: all of TensorFlow would take half a minute more.
  "$PYTHON" -m pip install -qq --disable-pip-version-check --progress-bar off \
    --no-compile --editable ".${EXTRAS}"
  touch "$stamp"
fi
