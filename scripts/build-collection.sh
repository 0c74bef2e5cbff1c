#!/usr/bin/env bash
# Builds the artifact that `ansible-galaxy collection install` takes.
# Usage: scripts/build-collection.sh [folder]   (default .build)
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/venv.sh
exec .venv/bin/ansible-galaxy collection build --force --output-path "${1:-.build}" .
