#!/usr/bin/env bash
# What the tests use beside the product: a registry, a tiny userland, signed package sources, a browser, XFS, and Compose.
set -euo pipefail
packages=(busybox-static chromium docker-registry dpkg-dev gnupg mmdebstrap openssh-client xfsprogs)
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

# Debian 12 has no `docker compose`. Debian 13's needs nothing but its own file, and comes with the Compose
# Specification's schema (Apache-2.0) in the package that it is built from. Its archive is signed.
compose=$(dirname "$0")/../.build/compose
if [[ ! -x $compose/docker-compose || ! -s $compose/compose-spec.json ]]; then
  echo "Fetching docker compose"
  rm -rf "$compose"
  mkdir -p "$compose"
  mmdebstrap --quiet --variant=extract --include=docker-compose,golang-github-compose-spec-compose-go-dev trixie - |
    tar --extract --directory "$compose" --transform 's|.*/||' \
      ./usr/libexec/docker/cli-plugins/docker-compose \
      ./usr/share/gocode/src/github.com/compose-spec/compose-go/schema/compose-spec.json
fi
