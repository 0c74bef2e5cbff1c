# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secrets a workspace gets: new ones for what changed, and what there is for what did not."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils.secrets_store import SecretsStore
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_secrets import SecretFiles, wished_files
from ansible_collections.codeopen.workspaces.plugins.module_utils.service_spec import SecretFile, secret_name


@pytest.fixture
def store(tmp_path: Path) -> SecretsStore:
    return SecretsStore(str(tmp_path), "demo")


def there(file: str, value: str) -> SecretFile:
    """A secret of the Swarm."""
    return SecretFile(file, secret_name("demo", file, value, "key"), f"id-{value}")


def wished(store: SecretsStore, *found: SecretFile, **changes: object) -> SecretFiles:
    options = {"network": "", "given": None, "used": [], **changes}
    return wished_files("demo", "key", store, there=found, **options)  # type: ignore[arg-type]


def ids(files: SecretFiles) -> dict[str, str]:
    return {secret.file: secret.id for secret in files.files}


def test_a_new_workspace_gets_a_password_that_is_kept_on_the_manager_and_a_secret(store: SecretsStore) -> None:
    first = wished(store, network="https_proxy=x\n", given={"token": "t"})
    assert set(ids(first)) == {"password", "network", "token"}
    assert first.new_password in first.values.values()
    assert not store.exists


def test_what_did_not_change_is_the_secret_that_there_is(store: SecretsStore) -> None:
    store.ensure_password("known")
    found = (there("password", "known"), there("token", "one"))
    assert ids(wished(store, *found, given={"token": "one"})) == {"password": "id-known", "token": "id-one"}
    changed = wished(store, *found, given={"token": "two"})
    assert ids(changed)["password"] == "id-known"
    assert changed.values[secret_name("demo", "token", "two", "key")] == "two"
    assert ids(changed)["token"] != "id-one"


def test_without_the_option_files_stay_and_with_an_empty_one_they_go(store: SecretsStore) -> None:
    store.ensure_password("known")
    found = (there("password", "known"), there("token", "one"))
    assert ids(wished(store, *found)) == {"password": "id-known", "token": "id-one"}
    assert ids(wished(store, *found, given={})) == {"password": "id-known"}


def test_after_an_interruption_the_one_that_the_service_uses_stays(store: SecretsStore) -> None:
    store.ensure_password("known")
    old, new = there("token", "old"), there("token", "new")
    assert ids(wished(store, old, new, used=[old.name]))["token"] == "id-old"
    assert ids(wished(store, old, new))["token"] == "id-new"


def test_a_manager_without_the_password_file_leaves_the_password_alone(store: SecretsStore) -> None:
    files = wished(store, there("password", "elsewhere"))
    assert ids(files) == {"password": "id-elsewhere"}
    assert files.new_password == ""
