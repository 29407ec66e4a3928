#!/bin/sh
# Installs the Debian packages that the demo and the tests run for real. Does nothing when all are there. The kernel of the guest
# that some tests boot is only unpacked: this machine boots what it booted before.
set -eu
missing=
need() { [ -e "$1" ] || missing="$missing $2"; }
need /usr/sbin/tc iproute2
need /usr/sbin/ethtool ethtool
need /usr/bin/pgrep procps
need /usr/bin/setpriv util-linux
need /usr/sbin/opensm opensm
need /usr/bin/ibsim ibsim-utils
need /usr/sbin/smpquery infiniband-diags
need /usr/bin/prometheus prometheus
need /usr/bin/prometheus-alertmanager prometheus-alertmanager
need /usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 libfaketime
need /usr/bin/qemu-system-x86_64 qemu-system-x86
need /bin/busybox busybox-static
need /usr/bin/cpio cpio
need /usr/sbin/depmod kmod
need /usr/bin/gcc gcc
need /usr/bin/make make
need /usr/bin/ib_write_bw perftest
need /usr/bin/ibv_devinfo ibverbs-utils
need /usr/bin/tcpdump tcpdump
need /usr/bin/strace strace
need /usr/bin/chromium chromium
need /usr/bin/chromedriver chromium-driver
need /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf fonts-dejavu-core
guest() { exec "$(dirname "$0")/guest.sh" >/dev/null; }
[ -n "$missing" ] || guest
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "missing system packages:$missing; install them (on Debian: sudo apt-get install$missing) and try again" >&2
  exit 1
fi
apt-get update -q >/dev/null
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null
guest
