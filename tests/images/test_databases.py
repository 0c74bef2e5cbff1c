# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on databases: each client talks to a real server of its kind, as Debian has it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

# Runs as root in a container of its own, so that nothing of it is in the image under test.
SERVERS = """
install-apt mariadb-server postgresql redis-server >/tmp/install.log 2>&1 || { cat /tmp/install.log; exit 1; }
cluster=$(pg_lsclusters -h | cut -d ' ' -f 1)
echo "host all all all scram-sha-256" >>"/etc/postgresql/$cluster/main/pg_hba.conf"
echo "listen_addresses = '*'" >>"/etc/postgresql/$cluster/main/postgresql.conf"
pg_ctlcluster "$cluster" main restart
su postgres -c "psql -c \\"CREATE ROLE person LOGIN PASSWORD '$PASSWORD'\\" -c 'CREATE DATABASE shop OWNER person'"
redis-server --bind 0.0.0.0 --daemonize yes --requirepass "$PASSWORD" --dir /tmp
install -d -o mysql -g mysql /run/mysqld
mariadbd-safe --user=mysql --bind-address=0.0.0.0 >/tmp/mariadb.log 2>&1 &
timeout 60 sh -c 'until mariadb-admin ping >/dev/null 2>&1; do sleep 0.3; done'
mariadb -e "CREATE DATABASE shop; GRANT ALL ON shop.* TO person@'%' IDENTIFIED BY '$PASSWORD'"
echo servers are up
"""


@pytest.fixture(scope="module")
def password() -> str:
    return secrets.token_hex(8)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, password: str) -> Iterator[RunningWorkspace]:
    """A workspace with real servers beside it, which it knows as ``servers``."""
    image = image_of("databases")
    name = f"codeopen-test-{secrets.token_hex(4)}"
    docker("network", "create", name)
    try:
        directory = tmp_path_factory.mktemp("secrets")
        with running_workspace(image, directory, "--network", name) as workspace:
            docker(
                "run", "--detach", "--name", f"{name}-servers", "--network", name, "--network-alias", "servers",
                "--user", "root", "--env", f"PASSWORD={password}", "--no-healthcheck", "--entrypoint", "/usr/bin/tini",
                "--volume", f"{directory}/network:/run/secrets/network:ro", image, "--", "sleep", "infinity",
            )  # fmt: skip
            docker("exec", f"{name}-servers", "/usr/local/lib/codeopen/build-shell", "-c", SERVERS)
            yield workspace
    finally:
        docker("rm", "--force", "--volumes", f"{name}-servers", check=False)
        docker("network", "rm", name, check=False)


def test_psql_creates_and_reads_a_table(workspace: RunningWorkspace, password: str) -> None:
    workspace.write("/home/developer/.pgpass", f"servers:5432:shop:person:{password}\n")
    workspace.run("chmod 600 ~/.pgpass")
    done = workspace.run(
        "psql --host servers --user person --no-psqlrc --tuples-only --no-align shop"
        " --command 'CREATE TABLE fruit (name text)' --command \"INSERT INTO fruit VALUES ('pear')\""
        " --command 'SELECT name, version() FROM fruit'"
    )
    assert "pear|PostgreSQL" in done.stdout


def test_psql_is_refused_with_a_wrong_password(workspace: RunningWorkspace) -> None:
    done = workspace.run("PGPASSWORD=wrong psql --host servers --user person shop --command 'SELECT 1'", check=False)
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr


def test_mysql_creates_and_reads_a_table(workspace: RunningWorkspace, password: str) -> None:
    workspace.write("/home/developer/.my.cnf", f"[client]\nhost=servers\nuser=person\npassword={password}\nskip-ssl\n")
    done = workspace.run(
        "mysql --batch --skip-column-names shop --execute"
        " \"CREATE TABLE fruit (name text); INSERT INTO fruit VALUES ('plum'); SELECT name FROM fruit\""
    )
    assert done.stdout.split() == ["plum"]
    assert "INSERT INTO `fruit` VALUES" in workspace.run("mysqldump shop").stdout


def test_redis_cli_sets_and_gets(workspace: RunningWorkspace, password: str) -> None:
    done = workspace.run(
        f"export REDISCLI_AUTH={password}; redis-cli -h servers set fruit quince; redis-cli -h servers get fruit"
    )
    assert done.stdout.split() == ["OK", "quince"]
    assert "NOAUTH" in workspace.run("redis-cli -h servers get fruit").stdout


def test_sqlite3_keeps_a_table_in_a_file(workspace: RunningWorkspace) -> None:
    workspace.run("sqlite3 ~/fruit.db \"CREATE TABLE fruit (name text); INSERT INTO fruit VALUES ('fig')\"")
    assert workspace.run("sqlite3 ~/fruit.db 'SELECT name FROM fruit'").stdout.split() == ["fig"]


def test_mongosh_evaluates_and_names_what_refuses_it(workspace: RunningWorkspace) -> None:
    assert workspace.run("mongosh --nodb --quiet --eval 'EJSON.stringify({n: 6 * 7})'").stdout.strip() == '{"n":42}'
    done = workspace.run("mongosh --quiet mongodb://servers:27017/shop --eval 'db.runCommand({ping: 1})'", check=False)
    assert done.returncode != 0
    assert "MongoNetworkError: connect ECONNREFUSED" in done.stderr + done.stdout
    assert ":27017" in done.stderr + done.stdout


def test_mongosh_runs_beside_another_node(workspace: RunningWorkspace) -> None:
    workspace.run("mkdir -p ~/fake && printf '#!/bin/sh\\nexit 9\\n' >~/fake/node && chmod +x ~/fake/node")
    assert workspace.run("PATH=~/fake:$PATH mongosh --version").stdout.strip()
