#!/usr/bin/env bash
# ansible-test sanity on a copy of the tracked files, in the only tree shape that ansible-test takes.
# Arguments go to ansible-test, for instance: scripts/sanity.sh --test validate-modules
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "$0")/environment.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
copy="$work/ansible_collections/codeopen/workspaces"
mkdir -p "$copy"
git ls-files -z | tar --create --null --files-from=- --ignore-failed-read | tar --extract --directory "$copy"

# ansible-test fetches pip from a server of its own, which closed networks do not reach.
requirements=$(python -c 'import ansible_test; print(ansible_test.__path__[0])')/_internal/python_requirements.py
version=$(sed -n "s/^ *pip='\([0-9.]*\)',/\1/p" "$requirements")
cache=~/.ansible/test/cache/get_pip_${version//./_}.py
mkdir -p "${cache%/*}"
[[ -e $cache ]] || cp scripts/get_pip.py "$cache"

cd "$copy"
git init --quiet
git add --all
python=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ansible-test sanity --color no --python "$python" --requirements "$@"
echo "sanity passed"
