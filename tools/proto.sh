#!/bin/sh
# Writes the generated code below DIR. Usage: tools/proto.sh DIR
# grpcio-tools is pinned to the last release whose output carries no runtime version gate, so that the generated
# code runs on protobuf 5.29, 6 and 7 (inference stacks pin old ones).
set -eu
venv=.venv-proto
if [ ! -e "$venv/.installed" ]; then
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'grpcio-tools==1.62.3' 'setuptools<81'
  touch "$venv/.installed"
fi
"$venv/bin/python" -W ignore -m grpc_tools.protoc -Iproto --python_out="$1" --grpc_python_out="$1" --pyi_out="$1" proto/trafficd/api/v1/*.proto
