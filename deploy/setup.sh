#!/bin/sh
# Set up a virtual environment from a lock file: setup.sh PYTHON VENV LOCK
set -eu
python=$1 venv=$2 lock=$3

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "meterwarden needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if [ ! -x "$venv/bin/pip" ]; then
    echo "[1/3] making $venv"
    if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
        # Debian ships venv apart from Python.
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "      installing python3-venv"
            apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
            "$python" -m venv --clear "$venv"
        else
            rm -rf "$venv"
            echo "python3-venv is missing: sudo apt-get install python3-venv" >&2
            exit 1
        fi
    fi
else
    echo "[1/3] using $venv"
fi
echo "[2/3] installing what $lock pins (about a minute the first time)"
"$venv/bin/pip" install --quiet --require-hashes -r "$lock"
echo "[3/3] installing meterwarden"
"$venv/bin/pip" install --quiet --no-deps --no-build-isolation --no-index -e .
