# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets of a Swarm a workspace gets as files: its password, the network settings, and what its user gave."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import (
    OWN_FILES,
    PASSWORD_BYTES,
    SecretsStore,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import SecretFile, secret_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.swarm_api import Swarm

PASSWORD, NETWORK = OWN_FILES
_TO_BE_MADE = "(to be made)"


@dataclass
class SecretFiles:
    """A workspace's files.

    :ivar files: what it gets; those that are not there yet have no id of the Swarm's.
    :ivar values: of those that are to be made, by name.
    :ivar new_password: the password, where there was none.
    """

    files: list[SecretFile] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    new_password: str = ""

    def make(self, swarm: Swarm, workspace: str, store: SecretsStore) -> None:
        """Make those that are missing."""
        if self.new_password:
            store.ensure_password(self.new_password)
        self.files = [
            swarm.create_secret(workspace, secret.file, secret.name, self.values[secret.name])
            if secret.id == _TO_BE_MADE
            else secret
            for secret in self.files
        ]


def names_of(spec: Mapping[str, Any]) -> list[str]:
    """Names of the secrets in a service's specification."""
    files = spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or []
    return [str(file["SecretName"]) for file in files]


def names_needed(service: Mapping[str, Any]) -> set[str]:
    """Names of the secrets that a service uses, and of those that it would need to go back to what it was before.

    The Swarm itself lets go of these at once, and then cannot start that again.
    """
    spec, previous = service["Spec"], service.get("PreviousSpec")
    state = (service.get("UpdateStatus") or {}).get("State") or ""
    replicas = ((spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    # Without a state the Swarm has still to begin, unless there is no container to replace.
    may_go_back = state in ("updating", "paused") or (not state and bool(replicas))
    return {*names_of(spec), *(names_of(previous) if previous and may_go_back else [])}


def wished_files(
    workspace: str,
    key: str,
    store: SecretsStore,
    network: str,
    given: Optional[Mapping[str, str]],
    there: Sequence[SecretFile],
    used: Sequence[str],
) -> SecretFiles:
    """The files that a workspace is to have.

    :param network: the network settings' text; empty for none.
    :param given: what the user gave, by file name; None leaves what there is.
    :param there: its secrets in the Swarm, newest last.
    :param used: names of those that its service uses now.
    """
    wished = SecretFiles()
    by_name = {secret.name: secret for secret in there}
    kept: dict[str, SecretFile] = {}
    for secret in sorted(there, key=lambda secret: secret.name in used):
        kept[secret.file] = secret

    def want(file: str, value: str) -> None:
        name = secret_name(workspace, file, value, key)
        wished.files.append(by_name.get(name) or SecretFile(file, name, _TO_BE_MADE))
        wished.values[name] = value

    password = store.password()
    if password is None and PASSWORD in kept:
        # Made by a run on another manager, which has the file.
        wished.files.append(kept[PASSWORD])
    else:
        if password is None:
            password = wished.new_password = secrets.token_urlsafe(PASSWORD_BYTES)
        want(PASSWORD, password)
    if network:
        want(NETWORK, network)
    if given is None:
        wished.files.extend(secret for file, secret in kept.items() if file not in OWN_FILES)
    else:
        for file, value in given.items():
            want(str(file), value)
    return wished
