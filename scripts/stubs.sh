#!/usr/bin/env bash
# Writes dso/native/_core.pyi, what type checkers know of the native core, from the core as it is
# built here. With --check it only says whether the file is current.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${PYTHON:-python3}"
if [ -x .venv/bin/ruff ]; then python=.venv/bin/python; fi
if ! "$python" -c "import pybind11_stubgen, ruff, dso.native._core" 2>/dev/null; then
    echo "scripts/stubs.sh needs a built core, pybind11-stubgen and ruff:" \
        "'$python -m pip install -c constraints.txt pybind11-stubgen ruff'." >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pybind11_stubgen dso.native._core --output-dir "$work" --exit-code
made=$work/dso/native/_core.pyi kept=dso/native/_core.pyi
"$python" -m ruff format -q --config pyproject.toml "$made"
if [ "${1:-}" != --check ]; then
    cp "$made" "$kept"
elif ! diff -u "$kept" "$made"; then
    echo "$kept is not what the native core offers: run scripts/stubs.sh." >&2
    exit 1
fi
