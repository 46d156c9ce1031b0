#!/usr/bin/env bash
# Installs dso with the test extra into .venv and runs the tests; arguments go to pytest.
# --all adds the slow tests and the extras that only some of them need.
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
if [ "${1:-}" = "--all" ]; then
    shift
    install_dso test,control,jax,bench,browser,docs
    # Without a network a Chromium of the system will do, else the tests that want one are skipped.
    .venv/bin/python -m playwright install chromium >/dev/null 2>&1 || true
    set -- -m "slow or not slow" "$@"
else
    install_dso test
fi
.venv/bin/python -m pytest "$@"
