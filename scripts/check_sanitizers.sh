#!/bin/sh
# Build the native core with AddressSanitizer and UBSan in a temporary folder and run its tests.
# PYTHON names the interpreter; arguments replace the default selection of tests.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

for item in setup.py pyproject.toml README.md LICENSE THIRD_PARTY.md dso config tests; do cp -R "$root/$item" "$work/"; done
find "$work/dso" -name '*.so' -delete
cd "$work"
DSO_SANITIZE=address,undefined "$python" setup.py -q build_ext --inplace

if [ $# -eq 0 ]; then
    set --
    for part in native program fitting evaluation policy prior; do
        [ -d "tests/$part" ] && set -- "$@" "tests/$part"
    done
fi
# Python itself keeps memory until it exits, so leaks are not looked for. Reports go to the standard
# error of the process, which must not be captured.
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" \
    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    PYTHONPATH="$work" "$python" -m pytest -q -x --capture=sys -p no:cacheprovider "$@"
