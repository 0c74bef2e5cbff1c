#!/usr/bin/env bash
# Fetches `docker compose` and the Compose Specification's schema into .build/compose.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian 12 has no `docker compose`. Debian 13's needs nothing but its own file, and comes with the Compose
# Specification's schema (Apache-2.0) in the package that it is built from. Its archive is signed.
compose=.build/compose
if [[ ! -x $compose/docker-compose || ! -s $compose/compose-spec.json ]]; then
  echo "Fetching docker compose"
  if ! command -v mmdebstrap >/dev/null; then
    sudo=()
    [[ $(id -u) == 0 ]] || sudo=(sudo)
    "${sudo[@]}" apt-get update --quiet=2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends mmdebstrap
  fi
  rm -rf "$compose"
  mkdir -p "$compose"
  mmdebstrap --quiet --variant=extract --include=docker-compose,golang-github-compose-spec-compose-go-dev trixie - |
    tar --extract --directory "$compose" --transform 's|.*/||' \
      ./usr/libexec/docker/cli-plugins/docker-compose \
      ./usr/share/gocode/src/github.com/compose-spec/compose-go/schema/compose-spec.json
fi
