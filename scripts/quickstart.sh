#!/usr/bin/env bash
# Installs dso into .venv and recovers x^4 + x^3 + x^2 + x from 20 points.
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
install_dso ""
.venv/bin/python -m dso.run config/examples/regression/Nguyen-2.json "$@"
