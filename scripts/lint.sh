#!/usr/bin/env bash
# Checks style and types; installs and changes nothing. The tools are those of .venv, or else of
# PYTHON. clang-format has the version of constraints.txt, since others format otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${PYTHON:-python3}"
if [ -x .venv/bin/ruff ]; then python=.venv/bin/python; fi
if ! "$python" -c "import ruff, mypy, clang_format" 2>/dev/null; then
    echo "scripts/lint.sh needs ruff, mypy and clang-format:" \
        "'$python -m pip install -c constraints.txt ruff mypy clang-format'." >&2
    exit 1
fi
clang_format=$("$python" -c "import clang_format; print(clang_format.get_executable('clang-format'))")
wanted=$(sed -n 's/^clang-format==//p' constraints.txt)
if ! "$clang_format" --version | grep -qwF "$wanted"; then
    echo "scripts/lint.sh needs clang-format $wanted:" \
        "'$python -m pip install -c constraints.txt clang-format'." >&2
    exit 1
fi
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy dso
if "$python" -c "import pybind11_stubgen, dso.native._core" 2>/dev/null; then
    scripts/stubs.sh --check
else
    echo "dso/native/_core.pyi is not checked: that takes pybind11-stubgen and a built core." >&2
fi
"$clang_format" --dry-run --Werror dso/native/*.hpp dso/native/*/*.[ch]pp
