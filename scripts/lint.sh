#!/usr/bin/env bash
# Checks style and types; installs nothing. ruff and mypy are those of .venv, or else of PYTHON.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${PYTHON:-python3}"
if [ -x .venv/bin/ruff ]; then python=.venv/bin/python; fi
if ! "$python" -c "import ruff, mypy" 2>/dev/null; then
    echo "scripts/lint.sh needs ruff and mypy: '$python -m pip install ruff mypy'." >&2
    exit 1
fi
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy dso
