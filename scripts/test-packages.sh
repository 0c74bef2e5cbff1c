#!/usr/bin/env bash
# What the tests use beside the product: a registry, a tiny userland, signed package sources, a browser, XFS, and Compose.
set -euo pipefail
packages=(busybox-static chromium docker-registry dpkg-dev gnupg iproute2 mmdebstrap openssh-client xfsprogs)
# A kernel with quotas of XFS, which many hosts' own has not; there is none for other architectures.
[[ $(dpkg --print-architecture) != amd64 ]] || packages+=(user-mode-linux)
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
done
if [[ ${#missing[@]} != 0 ]]; then
  echo "Installing ${missing[*]}"
  sudo=()
  [[ $(id -u) == 0 ]] || sudo=(sudo)
  "${sudo[@]}" apt-get update --quiet=2
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}"
fi

"$(dirname "$0")/compose.sh"
