#!/usr/bin/env bash
# Builds the native core with AddressSanitizer and UBSan in a temporary folder and runs the tests
# that reach it, one process per folder of tests.
#
#     scripts/check_sanitizers.sh [JOBS [TESTS...]]
#
# JOBS compilers, then so many processes of pytest; by default one per core. PYTHON names the
# interpreter.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PYTHON=${PYTHON:-python3}
jobs=${1:-$(getconf _NPROCESSORS_ONLN)}
# The longest first, so that none is left over at the end.
tests=(semantic gp task/control prior fitting native policy evaluation program task/regression
    policy_optimizer)
tests=("${tests[@]/#/tests/}")
if [ $# -gt 1 ]; then tests=("${@:2}"); fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cd "$root"
cp -R setup.py pyproject.toml README.md LICENSE THIRD_PARTY.md dso config tests "$work"
find "$work/dso" -name '*.so' -delete
cd "$work"
DSO_BUILD_JOBS=$jobs DSO_SANITIZE=address,undefined "$PYTHON" setup.py -q build_ext --inplace

# Python itself keeps memory until it exits, so leaks are not looked for. Reports go to the standard
# error of the process, which must not be captured.
run_tests() {
    local log
    log=$(mktemp)
    if LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" \
        ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        OMP_NUM_THREADS=1 "$PYTHON" -m pytest -q -x --capture=sys -p no:cacheprovider "$1" \
        >"$log" 2>&1; then
        echo "$1: $(tail -n 1 "$log")"
    else
        cat "$log"
        return 1
    fi
}
export -f run_tests
export PYTHONPATH="$work" TMPDIR="$work"
printf '%s\n' "${tests[@]}" | xargs -P "$jobs" -I {} bash -c 'run_tests "$1"' _ {}
