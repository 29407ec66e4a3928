#!/bin/sh
# Makes the development virtual environment. Usage: tools/venv.sh DIR
set -eu
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  { echo "trafficd needs Python 3.11 or newer: set PYTHON=/path/to/python3.11 and try again" >&2; exit 1; }
"$python" -m venv "$1" ||
  { echo "cannot make a virtual environment: install python3-venv and try again" >&2; exit 1; }
"$1/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]' ||
  { echo "cannot install the Python packages listed in pyproject.toml: check that a package index is reachable" >&2; exit 1; }
touch "$1/.installed"
