#!/usr/bin/env bash
# Runs Molecule's scenarios on hosts that containers stand for. Arguments name scenarios; without them, all run.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"
scripts/test-packages.sh
scripts/engine.sh
if [[ $# == 0 ]]; then
  set -- default debian12 fleet gpu upgrade
fi
# Molecule makes its own configuration for Ansible.
unset ANSIBLE_CONFIG
failed=()
for scenario in "$@"; do
  molecule test --scenario-name "$scenario" || failed+=("$scenario")
done
if [[ ${#failed[@]} -gt 0 ]]; then
  echo "Molecule: failed: ${failed[*]}" >&2
  exit 1
fi
