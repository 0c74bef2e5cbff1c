#!/usr/bin/env bash
# Prints the name of an image of a bare host (systemd, Python, sudo), and makes it from Debian's archive where it is
# missing. Tests run hosts from it. It is kept: a run after the first one saves its minute.
# Usage: scripts/host-image.sh bookworm|trixie
set -euo pipefail
suite=${1:-}
case $suite in
  bookworm | trixie) ;;
  *)
    echo "$0: '$suite' is no suite, expected bookworm or trixie" >&2
    exit 2
    ;;
esac
packages=systemd-sysv,dbus,sudo,ca-certificates,python3,iproute2,procps,busybox-static
recipe=$(sha256sum "$0" | cut -c1-12)
image=codeopen-test-host:$suite-$recipe

exec {lock}>"${TMPDIR:-/tmp}/codeopen-test-host-$suite-$(id -u).lock"
flock "$lock"
if ! docker image inspect "$image" >/dev/null 2>&1; then
  folder=$(mktemp --directory)
  trap 'rm -rf "$folder"' EXIT
  mmdebstrap --quiet --variant=minbase '--aptopt=APT::Install-Recommends "false"' --include="$packages" \
    "$suite" "$folder/root.tar" >&2
  # Debian 13's systemd takes control groups of version 1 only when told so, by its own command line in a container.
  # No unit of a bare host loads kernel modules or has a console here.
  docker import \
    --change 'ENV container=docker' \
    --change 'STOPSIGNAL SIGRTMIN+3' \
    --change 'CMD ["/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", "systemd.mask=systemd-modules-load.service"]' \
    "$folder/root.tar" "$image" >/dev/null
fi
echo "$image"
