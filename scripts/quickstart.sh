#!/usr/bin/env bash
# Installs dso into .venv, recovers x^4 + x^3 + x^2 + x from 20 points, then finds the formula behind
# a noisy table, with a picture of it.
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
install_dso "plots"
.venv/bin/dso run config/examples/regression/Nguyen-2.json "$@"
.venv/bin/dso fit config/examples/regression/Energy.csv --target energy --drop id
