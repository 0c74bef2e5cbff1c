#!/usr/bin/env bash
# Tests on the real engine, which the role starts or installs where there is none. Arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"
scripts/test-packages.sh
scripts/engine.sh
if [[ $# == 0 ]]; then
  set -- tests/integration tests/images
fi
exec pytest "$@"
