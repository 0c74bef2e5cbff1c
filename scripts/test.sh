#!/usr/bin/env bash
# Everything that must pass, cheapest first. All test runs of pytest end in one line.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

scripts/lint.sh
scripts/sanity.sh
scripts/test-packages.sh
scripts/engine.sh
# The whole catalogue is for `make test-images`.
scripts/build-catalogue.sh python js code-server
scripts/gateway.sh
pytest tests
