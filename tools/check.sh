#!/bin/sh
# Everything that can be said of the code without running it. Usage: tools/check.sh BIN
set -eu
bin=$1
"$bin/ruff" format --check -q . || { echo "run make format" >&2; exit 1; }
"$bin/ruff" check -q .
"$bin/mypy" -p trafficd -p trafficd_agent -p trafficd_topology
"$bin/lint-imports" --cache-dir .import_linter_cache
"$bin/buf" lint proto
# Without an earlier version there is nothing to break.
if git rev-parse -q --verify HEAD:proto >/dev/null 2>&1; then
  "$bin/buf" breaking proto --against ".git#subdir=proto"
fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
tools/proto.sh "$fresh"
diff -r -x __pycache__ -x '__init__.py' "$fresh/trafficd/api/v1" trafficd/api/v1 ||
  { echo "generated code is not current: run make proto" >&2; exit 1; }
"$bin/python" tools/house.py
