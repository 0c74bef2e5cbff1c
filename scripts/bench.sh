#!/usr/bin/env bash
# Measures and prints the figures. Arguments name benchmarks, for instance: scripts/bench.sh resolve start
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"
scripts/test-packages.sh
scripts/engine.sh
exec python tests/bench/run.py "$@"
