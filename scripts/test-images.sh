#!/usr/bin/env bash
# Builds the whole catalogue, tests its images in running containers, and writes the table of their sizes.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"
scripts/test-packages.sh
scripts/engine.sh
scripts/build-catalogue.sh
CODEOPEN_REQUIRE_IMAGES=1 pytest --numprocesses 2 --dist loadgroup tests/images
# shellcheck disable=SC2086
python scripts/image_table.py ${CODEOPEN_LEAVE_OUT:-}
