#!/usr/bin/env bash
# `make up`: one workspace from FLAVOR, ADDONS (by commas), TIER and NAME. Further arguments go to ansible-playbook.
set -euo pipefail
cd "$(dirname "$0")/.."
export FLAVOR=${FLAVOR:-python} ADDONS=${ADDONS-code-server} TIER=${TIER:-builder} NAME=${NAME:-demo}
scripts/venv.sh
variables=$(
  .venv/bin/python - <<'PYTHON'
import json
import os

addons = [name.strip() for name in os.environ["ADDONS"].split(",") if name.strip()]
workspace = {"name": os.environ["NAME"], "flavor": os.environ["FLAVOR"], "addons": addons, "tier": os.environ["TIER"]}
print(json.dumps({"codeopen_workspaces": [workspace], "codeopen_remove_command": "make down NAME={name}"}))
PYTHON
)
exec scripts/playbook.sh playbooks/site.yml --extra-vars "$variables" "$@"
