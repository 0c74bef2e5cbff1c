#!/usr/bin/env bash
# The true test of GPUs, on a machine that has one: site.yml sets it up and brings up a workspace that uses it.
# It installs NVIDIA's container toolkit and restarts the engine where the role nvidia finds that missing.
# Arguments go to pytest.
set -euo pipefail
if ! command -v nvidia-smi >/dev/null; then
  echo "make test-gpu needs a machine with an NVIDIA GPU and its driver: there is no nvidia-smi here." >&2
  exit 1
fi
if ! gpus=$(nvidia-smi -L 2>&1) || [[ $gpus != *GPU\ [0-9]* ]]; then
  echo "make test-gpu needs a machine with an NVIDIA GPU and its driver: nvidia-smi -L says: ${gpus:-nothing}" >&2
  exit 1
fi
echo "$gpus"
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"
scripts/engine.sh
exec pytest tests/gpu "$@"
