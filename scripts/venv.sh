#!/usr/bin/env bash
# Brings .venv to what the requirements files say, and the collection onto Ansible's search path.
# Usage: scripts/venv.sh [dev]
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=(requirements.txt)
if [[ ${1:-} == dev ]]; then
  requirements+=(requirements-dev.txt)
fi

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  echo "Python 3.11 or later is needed, and none was found on PATH." >&2
  return 1
}

make_venv() {
  local python=$1
  # Debian splits ensurepip off into python3-venv.
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    echo "Installing python3-venv, which this system keeps apart from Python"
    as_root apt-get update --quiet=2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends python3-venv
  fi
  "$python" -m venv .venv
}

# Ansible finds a collection by its place in a tree of this shape.
mkdir -p .collections/ansible_collections/codeopen
ln -sfn ../../.. .collections/ansible_collections/codeopen/workspaces

wanted=$(cat "${requirements[@]}" constraints.txt | sha256sum | cut -d' ' -f1)
stamp=.venv/requirements.sha256
if [[ ! -x .venv/bin/python ]] || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
  make_venv "$(find_python)"
elif grep -qs "$wanted" "$stamp"; then
  exit 0
fi

echo "Installing Python packages into .venv (${requirements[*]})"
arguments=()
for file in "${requirements[@]}"; do
  arguments+=(--requirement "$file")
done
.venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt "${arguments[@]}"
# Each task of Ansible is a Python of its own, which compiles what it imports unless that was done once. pip would do it for
# all collections too, of which hardly anything is used. Files that this Python does not take stay as they are.
.venv/bin/python -m compileall -qq -j 0 -x ansible_collections .venv/lib || true
# A set that holds more stays valid for the smaller one, as long as neither file changes.
{
  echo "$wanted"
  if [[ ${1:-} == dev ]]; then cat requirements.txt constraints.txt | sha256sum | cut -d' ' -f1; fi
} >"$stamp"
