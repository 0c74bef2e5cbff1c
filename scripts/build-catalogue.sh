#!/usr/bin/env bash
# Builds what scripts/catalogue.py lists. Arguments name flavors and add-ons to take, instead of all; CODEOPEN_LEAVE_OUT names
# tools to do without, where their source cannot be reached.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/venv.sh
variables=$(PYTHONPATH=.collections .venv/bin/python scripts/catalogue.py "$@")
exec scripts/playbook.sh playbooks/build.yml --extra-vars "$variables"
