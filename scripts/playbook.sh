#!/usr/bin/env bash
# Runs a playbook against this machine: scripts/playbook.sh playbooks/site.yml [ansible-playbook arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/venv.sh
export PATH="$PWD/.venv/bin:$PATH"
export ANSIBLE_DISPLAY_SKIPPED_HOSTS=${ANSIBLE_DISPLAY_SKIPPED_HOSTS:-false}
become=()
if [[ $(id -u) != 0 ]] && ! sudo -n true 2>/dev/null; then
  become=(--ask-become-pass)
fi
exec ansible-playbook -i inventories/local "${become[@]}" "$@"
