# shellcheck shell=bash
# Sourced by the scripts that test: the tools of .venv with the development requirements.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
scripts/venv.sh dev
export PATH="$PWD/.venv/bin:$PATH"
export PYTHONPATH="$PWD/.collections"
export ANSIBLE_CONFIG="$PWD/ansible.cfg"
