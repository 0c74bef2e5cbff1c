#!/usr/bin/env bash
# Unit tests. Arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"
scripts/compose.sh
exec pytest tests/unit "$@"
