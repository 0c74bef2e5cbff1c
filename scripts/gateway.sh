#!/usr/bin/env bash
# Tests of the ACP gateway, against the OpenCode of the base image. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source=images/base/acp-gateway
work=.cache/acp-gateway
requirements=("$source/requirements.txt" "$source/requirements-test.txt")

mkdir -p "$work"
wanted=$(cat "${requirements[@]}" | sha256sum | cut -d ' ' -f 1)
if ! grep -qs "$wanted" "$work/venv/requirements.sha256"; then
  rm -rf "$work/venv"
  .venv/bin/python -m venv "$work/venv"
  "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --requirement "${requirements[0]}" --requirement "${requirements[1]}"
  echo "$wanted" >"$work/venv/requirements.sha256"
fi

version=$(sed -n 's/^version: "\(.*\)"/\1/p' images/catalogue.yml)
container=$(docker create "codeopen-base:$version")
rm -rf "$work/opencode"
docker cp --quiet "$container:/opt/opencode" "$work/opencode"
docker rm "$container" >/dev/null

OPENCODE_BIN="$PWD/$work/opencode/bin/opencode" exec "$work/venv/bin/python" -m pytest --import-mode=prepend "$source/tests" "$@"
