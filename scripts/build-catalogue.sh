#!/usr/bin/env bash
# Builds every flavor of the catalogue, alone and with each add-on. Arguments name flavors and add-ons to take, instead of all.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/venv.sh
variables=$(.venv/bin/python scripts/catalogue.py "$@")
exec scripts/playbook.sh playbooks/build.yml --extra-vars "$variables"
