# Sourced by quickstart.sh and test.sh: makes .venv and installs the package into it with the extras
# named in $1. Does nothing where the same files were installed before, with at least these extras.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "dso needs Python 3.11 or newer; set PYTHON to its command." >&2
    return 1
}

# setup.py checks the same, but pip asks it only after loading hundreds of megabytes.
check_compiler() {
    local compiler
    compiler=$("$1" -c '
import os, sysconfig
print((os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "c++").split()[0])')
    if ! command -v "$compiler" >/dev/null; then
        echo "dso needs a C++17 compiler to build its native core, and '$compiler' was not found:" \
            "'apt-get install g++' on Debian and Ubuntu, 'xcode-select --install' on macOS," \
            "WSL on Windows." >&2
        return 1
    fi
}

install_dso() {
    local extras=$1 python stamp
    stamp="$(cat setup.py pyproject.toml constraints.txt dso/native/*.hpp dso/native/*/*.[ch]pp | cksum)"
    # The first line is the state of the files, the second the extras installed with it.
    if [ -f .venv/dso-stamp ] && [ "$(sed -n 1p .venv/dso-stamp)" = "$stamp" ]; then
        case "$(sed -n 2p .venv/dso-stamp)" in *"$extras"*) return ;; esac
    fi
    python=$(find_python)
    check_compiler "$python"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    echo "Installing dso into .venv (a few minutes the first time) ..."
    .venv/bin/python -m pip install --quiet -c constraints.txt -e ".${extras:+[$extras]}"
    printf '%s\n%s\n' "$stamp" "$extras" > .venv/dso-stamp
}
