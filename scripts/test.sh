#!/usr/bin/env bash
# Everything that must pass within half an hour. All test runs of pytest end in one line.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

scripts/test-packages.sh
scripts/engine.sh

# Builds wait for the network much of their time, so the checks that need no engine run meanwhile. The whole catalogue is
# for `make test-images`.
mkdir -p .build
log=.build/catalogue.log
echo "Building images meanwhile, see $log"
scripts/build-catalogue.sh python js code-server >"$log" 2>&1 &
build=$!
trap 'kill "$build" 2>/dev/null || true' EXIT
scripts/lint.sh
scripts/sanity.sh
if ! wait "$build"; then
  cat "$log"
  exit 1
fi
trap - EXIT
scripts/gateway.sh
# Tests of one group (tests/conftest.py) share what they start. What takes longer is for `make test-images`, `make test-hosts` and
# `make test-faults`.
pytest --numprocesses 2 --dist loadgroup --durations 15 -m "not hosts and not faults" \
  tests/unit tests/integration tests/images/test_{base,start,layers,python,js,code_server,closed_network}.py
