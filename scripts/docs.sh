#!/usr/bin/env bash
# Builds the documentation site into site/, with warnings as errors. What it needs is installed into
# .venv on the first call; after that no network is used. Arguments go to mkdocs, e.g. `serve`.
source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
install_dso docs
export NO_MKDOCS_2_WARNING=1
if [ $# -eq 0 ]; then set -- build --strict --quiet; fi
.venv/bin/python -m mkdocs "$@"
