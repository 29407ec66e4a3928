#!/bin/sh
# Fetches the kernel that the guest tests boot, into a cache beside every checkout. Nothing is installed that this machine boots.
# usage: tools/guest.sh    prints the cache directory; does nothing when all is there.
set -eu
cache=${TRAFFICD_GUEST:-${XDG_CACHE_HOME:-$HOME/.cache}/trafficd/guest}
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock -w 300 9 || { echo "another tools/guest.sh holds $cache/.lock" >&2; exit 1; }
if [ ! -e "$cache/ready" ]; then
  apt-get update -q >/dev/null 2>&1 || true
  image=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)/\1/p' | head -n 1)
  [ -n "$image" ] || { echo "no package linux-image-amd64 is known: run apt-get update on a Debian system" >&2; exit 1; }
  version=${image#linux-image-}
  rm -rf "$cache/kernel" "$cache/deb" "$cache/lldpad"
  mkdir -p "$cache/deb"
  # lldpad too is only unpacked: installed, it would run here and program this machine's NICs.
  (cd "$cache/deb" && apt-get download -q "$image" lldpad libconfig9 >/dev/null 2>&1)
  dpkg -x "$cache"/deb/linux-image-*.deb "$cache/kernel"
  for deb in "$cache"/deb/lldpad_*.deb "$cache"/deb/libconfig9_*.deb; do dpkg -x "$deb" "$cache/lldpad"; done
  depmod -b "$cache/kernel" "$version"
  rm -rf "$cache/deb"
  # A kernel image that need not unpack itself boots four seconds sooner.
  python3 - "$cache/kernel/boot/vmlinuz-$version" "$cache/vmlinux" <<'PY'
import lzma, pathlib, sys
image = pathlib.Path(sys.argv[1]).read_bytes()
start = image.index(b"\xfd7zXZ\x00")
pathlib.Path(sys.argv[2]).write_bytes(lzma.LZMADecompressor().decompress(image[start:]))
PY
  echo "$version" >"$cache/ready"
fi
version=$(cat "$cache/ready")
if [ ! -e "/usr/src/linux-headers-$version/Makefile" ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "linux-headers-$version" >/dev/null
fi
echo "$cache"
