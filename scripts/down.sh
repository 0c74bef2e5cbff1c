#!/usr/bin/env bash
# `make down NAME=...`: removes one workspace and keeps its volumes; PURGE=1 removes those too.
set -euo pipefail
cd "$(dirname "$0")/.."
export NAME=${NAME-} PURGE=${PURGE-}
if [[ -z $NAME ]]; then
  echo "Say which workspace: make down NAME=demo [PURGE=1]" >&2
  exit 2
fi
scripts/venv.sh
variables=$(
  .venv/bin/python - <<'PYTHON'
import json
import os

purge = os.environ["PURGE"].lower() in ("1", "true", "yes")
print(json.dumps({"codeopen_remove": [os.environ["NAME"]], "codeopen_purge": purge}))
PYTHON
)
exec scripts/playbook.sh playbooks/remove.yml --extra-vars "$variables" "$@"
