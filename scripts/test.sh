#!/usr/bin/env bash
# Installs dso with the test extra into .venv and runs the tests; arguments go to pytest.
# --all adds the slow tests and the extras that only some of them need.
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
install_dso test
if [ "${1:-}" = "--all" ]; then
    shift
    set -- -m "slow or not slow" "$@"
fi
.venv/bin/python -m pytest "$@"
