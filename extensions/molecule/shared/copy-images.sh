#!/usr/bin/env bash
# Copies images of this machine's engine into a host's, those that it lacks, and prints their names. Others are left out.
# Usage: copy-images.sh HOST IMAGE…
set -euo pipefail
host=$1
shift
missing=()
for name in "$@"; do
  while read -r image; do
    docker exec "$host" docker image inspect "$image" >/dev/null 2>&1 || missing+=("$image")
  done < <(docker images --filter "reference=$name" --format '{{.Repository}}:{{.Tag}}')
done
if [[ ${#missing[@]} -gt 0 ]]; then
  docker save "${missing[@]}" | docker exec --interactive "$host" docker load --quiet
fi
