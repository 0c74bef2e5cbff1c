#!/usr/bin/env bash
# Static checks of everything that is committed. All of them run, then the script fails if one did.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

if ! command -v shellcheck >/dev/null; then
  echo "Installing shellcheck"
  sudo=()
  [[ $(id -u) == 0 ]] || sudo=(sudo)
  "${sudo[@]}" apt-get update --quiet=2
  "${sudo[@]}" apt-get install --yes --quiet=2 --no-install-recommends shellcheck
fi

failed=()
check() {
  local name=$1
  shift
  echo "== $name"
  "$@" || failed+=("$name")
}

# Scripts without an extension are known by their first line.
shell_scripts() {
  git ls-files | while read -r file; do
    if [[ -f $file ]] && head -n 1 "$file" | grep -aqE '^#!.*\b(ba)?sh\b|^# shellcheck shell='; then echo "$file"; fi
  done
}
mapfile -t scripts < <(shell_scripts)
mapfile -t dockerfiles < <(git ls-files '*Dockerfile')
collection=.collections/ansible_collections/codeopen/workspaces

check ruff ruff check .
# Through the collection's tree, so that modules get the names by which Ansible imports them.
check mypy mypy --strict "$collection/plugins"
check yamllint yamllint --strict .
check shellcheck shellcheck --external-sources --source-path=SCRIPTDIR --source-path=. "${scripts[@]}"
if [[ ${#dockerfiles[@]} -gt 0 ]]; then
  check hadolint hadolint --config .hadolint.yaml "${dockerfiles[@]}"
fi
check antsibull-changelog antsibull-changelog lint
# Its syntax checks have no inventory, which ansible.cfg would take for a mistake.
check ansible-lint env ANSIBLE_INVENTORY_UNPARSED_FAILED=false ansible-lint --nocolor --offline --profile production

if [[ ${#failed[@]} -gt 0 ]]; then
  echo "lint failed: ${failed[*]}" >&2
  exit 1
fi
echo "lint passed"
