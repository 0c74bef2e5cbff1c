#!/usr/bin/env bash
# Everything that must pass within half an hour. All test runs of pytest end in one line.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

scripts/test-packages.sh
scripts/engine.sh

# Tests of one group (tests/conftest.py) share what they start; those that take longest begin first. What takes longer is for
# `make test-images`, `make test-hosts`, `make test-molecule` and `make test-faults`.
run_tests() {
  pytest --dist loadgroup --no-loadscope-reorder --durations 10 -m "not hosts and not faults" "$@"
}

# Builds wait for the network much of their time, and compile on one core, so whatever needs none of the images runs
# meanwhile. The whole catalogue is for `make test-images`.
engine_work() {
  scripts/build-catalogue.sh python js code-server
  scripts/gateway.sh
}
mkdir -p .build
log=.build/test.log
echo "Building images and testing the ACP gateway meanwhile, see $log"
engine_work >"$log" 2>&1 &
work=$!
trap 'kill "$work" 2>/dev/null || true' EXIT
scripts/lint.sh
scripts/sanity.sh
scripts/unit.sh --numprocesses 2 --dist loadgroup --quiet
run_tests --numprocesses 2 tests/integration/images tests/integration/workspaces
if ! wait "$work"; then
  cat "$log"
  exit 1
fi
trap - EXIT
echo "ACP gateway: $(grep -E '^=+ .* passed' "$log")"
# They wait more than they work, so there are more of them at once than cores.
run_tests --numprocesses 3 tests/molecule tests/integration/test_*.py tests/integration/hosts \
  tests/images/test_{base,start,layers,python,js,code_server,closed_network}.py
