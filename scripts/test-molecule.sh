#!/usr/bin/env bash
# Runs Molecule's scenarios on hosts that containers stand for. Arguments name scenarios; without them, all run.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"
scripts/test-packages.sh
# Hosts take the images of their workspaces from this machine, instead of building each its own.
scripts/build-catalogue.sh js
if [[ $# == 0 ]]; then
  set -- default debian12 fleet gpu upgrade
fi
# Molecule makes its own configuration for Ansible.
unset ANSIBLE_CONFIG
# Two runs side by side have hosts and folders of their own.
folder=$(mktemp --directory)
export CODEOPEN_MOLECULE=codeopen-molecule-${folder##*.}
clean_up() {
  docker ps --all --quiet --filter "name=^$CODEOPEN_MOLECULE-" | xargs --no-run-if-empty docker rm --force --volumes >/dev/null
  rm -rf "$folder"
}
trap clean_up EXIT
failed=()
for scenario in "$@"; do
  SECONDS=0
  MOLECULE_EPHEMERAL_DIRECTORY=$folder/$scenario molecule test --scenario-name "$scenario" || failed+=("$scenario")
  echo "Molecule: scenario $scenario took $SECONDS s"
done
if [[ ${#failed[@]} -gt 0 ]]; then
  echo "Molecule: failed: ${failed[*]}" >&2
  exit 1
fi
