#!/usr/bin/env bash
# Everything that must pass within half an hour. The last line counts the tests of all runs of pytest.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

scripts/test-packages.sh
scripts/engine.sh

mkdir -p .build
runs=.build/test-runs.log log=.build/test.log molecule_log=.build/molecule.log built=.build/catalogue-built
rm -f "$runs" "$built"
counted() { "$@" | tee --append "$runs"; }

# Tests of one group (tests/conftest.py) share what they start; those that take longest begin first. What takes longer is for
# `make test-images`, `make test-hosts`, `make test-molecule` and `make test-faults`.
run_tests() {
  counted pytest --dist loadgroup --no-loadscope-reorder --durations 10 -m "not hosts and not faults" "$@"
}

# Builds wait for the network much of their time, and compile on one core, so whatever needs none of the images runs
# meanwhile. The whole catalogue is for `make test-images`. Molecule takes longest of all, so it begins with the images.
engine_work() {
  scripts/build-catalogue.sh python js code-server
  touch "$built"
  run_tests tests/molecule >"$molecule_log" 2>&1 &
  counted scripts/gateway.sh
  if ! wait "$!"; then
    cat "$molecule_log"
    return 1
  fi
}
finish_engine_work() {
  if ! wait "$work"; then
    cat "$log"
    exit 1
  fi
}
echo "Building images, then testing the ACP gateway and a bare host with Molecule meanwhile, see $log and $molecule_log"
engine_work >"$log" 2>&1 &
work=$!
trap 'kill "$work" 2>/dev/null || true' EXIT

scripts/lint.sh
scripts/sanity.sh
counted scripts/unit.sh --numprocesses 2 --dist loadgroup --quiet
# Tests wait more than they work, so there are more of them at once than cores.
run_tests --numprocesses 3 tests/integration/images tests/integration/workspaces
while [[ ! -e $built ]] && kill -0 "$work" 2>/dev/null; do sleep 1; done
[[ -e $built ]] || finish_engine_work
run_tests --numprocesses 3 tests/integration/test_*.py tests/integration/hosts \
  tests/images/test_{base,start,layers,python,js,code_server,closed_network,compose}.py
finish_engine_work
trap - EXIT
echo "$(grep --only-matching --extended-regexp '[0-9]+ passed' "$runs" | awk '{ sum += $1 } END { print sum }') passed, 0 failed"
