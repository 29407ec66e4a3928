#!/bin/sh
# Everything that can be said of the code without running it. Usage: tools/check.sh BIN
set -eu
bin=$1
"$bin/ruff" format --check -q . || { echo "run make format" >&2; exit 1; }
"$bin/ruff" check -q .
"$bin/mypy" -p trafficd -p trafficd_agent -p trafficd_topology
"$bin/lint-imports" --cache-dir .import_linter_cache
"$bin/buf" lint proto
# Against the contract before its newest change, committed or not. Without an earlier one there is nothing to break.
if git diff --quiet HEAD -- proto; then
  before=$(git log -2 --format=%H -- proto | sed -n 2p)
else
  before=$(git rev-parse HEAD)
fi
[ -z "$before" ] || "$bin/buf" breaking proto --against ".git#ref=$before,subdir=proto"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
tools/proto.sh "$fresh"
diff -r -x __pycache__ -x '__init__.py' "$fresh/trafficd/api/v1" trafficd/api/v1 ||
  { echo "generated code is not current: run make proto" >&2; exit 1; }
"$bin/python" tools/house.py
