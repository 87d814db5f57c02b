#!/bin/sh
# Prints the first Python of 3.11 or later that can make a virtual environment, or says what is missing.
set -eu

seen=""
for name in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11 python; do
    found=$(command -v "$name" 2>/dev/null) || continue
    version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    if ! "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        seen="$seen $name is $version;"
    elif ! "$found" -c 'import ensurepip, venv' 2>/dev/null; then
        seen="$seen $name is $version but has no venv (on Debian: apt-get install python3-venv);"
    else
        echo "$found"
        exit 0
    fi
done
echo "cannot set up: no Python 3.11 or later with venv was found (${seen:- there is none on PATH;})" >&2
echo "install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
exit 1
