# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run, with a stand-in for the engine: its process, its answers and what it says when it does not come up."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib

import pytest
import tomllib
from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_run
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_apply import Record, blame
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_kinds import KINDS
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_process import EngineProcess
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_run import Wishes, run
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_service import (
    EngineRecipe,
    telling_lines,
)
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError


class Engine:
    """A stand-in: it refuses configurations that hold a key named in ``refuses``."""

    running = True
    started = 1
    restarts = 0
    reloads = 0
    refuses = ()
    deaf = False
    argv = ("dockerd",)
    config: dict = {}
    path = ""

    def __init__(self, daemon, path, service, address):
        type(self).path = path

    def process(self):
        cls = type(self)
        return EngineProcess(4711, cls.started, list(cls.argv), {"PATH": "/usr/bin:/bin"}) if cls.running else None

    def recipe(self, process):
        return EngineRecipe("none", process.argv, process.environment, "/var/log/dockerd.log")

    def restart(self, recipe, timeout):
        cls = type(self)
        cls.restarts += 1
        cls.started += 1
        cls.config = self._read()
        for key in cls.refuses:
            if key in cls.config:
                cls.running = False
                return f"failed to start daemon: bad value {key}"
        cls.running = True
        return ""

    def reload(self, process):
        cls = type(self)
        cls.reloads += 1
        if not cls.deaf:
            cls.config = self._read()

    def info(self):
        return {"Labels": type(self).config.get("labels", [])}

    def _read(self):
        if not os.path.exists(self.path):
            return {}
        text = pathlib.Path(self.path).read_text()
        return tomllib.loads(text) if self.path.endswith(".toml") else json.loads(text)


@pytest.fixture
def engine(monkeypatch, tmp_path):
    class Fresh(Engine):
        pass

    monkeypatch.setattr(daemon_config_run, "EngineService", Fresh)
    for name, kind in KINDS.items():
        unchecked = dataclasses.replace(kind, validate=lambda text, path, folder: ("", ""))
        monkeypatch.setitem(KINDS, name, unchecked)
    monkeypatch.setattr(daemon_config_run.apply_, "_RELOAD_SECONDS", 0)
    return Fresh


@pytest.fixture
def call(tmp_path):
    def _call(config=None, absent=(), check_mode=False, name="daemon.json", **options):
        wishes = Wishes(
            path=str(tmp_path / name),
            config=config or {},
            absent=list(absent),
            state_dir=str(tmp_path / "state"),
            **options,
        )
        return run(wishes, check_mode, str(tmp_path))

    return _call


def test_a_file_is_made_and_the_second_run_leaves_it(engine, call, tmp_path):
    first = call({"labels": ["a=b"]})
    text = (tmp_path / "daemon.json").read_text()
    second = call({"labels": ["a=b"]})
    assert (first.changed, first.changed_keys, first.reload_needed) == (True, ["labels"], True)
    assert text == '{\n    "labels": [\n        "a=b"\n    ]\n}\n'
    assert (second.changed, second.changed_keys) == (False, [])
    assert (tmp_path / "daemon.json").read_text() == text


def test_nothing_wanted_makes_no_file(engine, call, tmp_path):
    assert not call({}, [("runtimes", "nvidia")]).changed
    assert not (tmp_path / "daemon.json").exists()


def test_check_mode_tells_the_same_and_writes_nothing(engine, call, tmp_path):
    path = tmp_path / "daemon.json"
    path.write_text('{"icc": true}')
    told = call({"icc": False}, check_mode=True, apply="auto")
    assert sorted(os.listdir(tmp_path)) == ["daemon.json"]
    assert engine.restarts == 0
    done = call({"icc": False}, apply="auto")
    assert (told.before, told.after, told.changed_keys, told.applied) == (
        done.before,
        done.after,
        done.changed_keys,
        done.applied,
    )
    assert path.read_text() == told.after == '{"icc": false}'


def test_what_can_be_reloaded_is_reloaded(engine, call):
    outcome = call({"labels": ["a=b"]}, apply="auto")
    assert (outcome.applied, engine.reloads, engine.restarts) == ("reload", 1, 0)
    assert not outcome.restart_needed
    assert not outcome.reload_needed


def test_reload_does_not_restart(engine, call):
    outcome = call({"icc": False}, apply="reload")
    assert (outcome.applied, outcome.restart_needed, engine.restarts, engine.reloads) == ("none", True, 0, 0)


def test_several_changes_need_one_restart(engine, call):
    assert call({"icc": False}).restart_needed
    assert call({"labels": ["a=b"]}).restart_needed
    applied = call(apply="auto")
    assert (applied.changed, applied.applied, engine.restarts) == (True, "restart", 1)
    again = call({"icc": False}, apply="auto")
    assert (again.changed, again.applied, engine.restarts) == (False, "none", 1)


def test_the_need_stays_until_the_engine_was_restarted_by_anyone(engine, call):
    assert call({"icc": False}).restart_needed
    assert call({"icc": False}).restart_needed
    engine.started += 1
    assert not call({"icc": False}).restart_needed


def test_a_change_taken_back_needs_nothing(engine, call):
    call({"icc": False})
    assert not call({}, [("icc",)]).restart_needed


def test_a_stopped_engine_is_not_started(engine, call):
    engine.running = False
    outcome = call({"icc": False}, apply="auto")
    assert (outcome.changed, outcome.applied, outcome.restart_needed, engine.restarts) == (True, "none", False, 0)


@pytest.mark.parametrize("old", ['{"debug": true}', None])
def test_an_engine_that_does_not_come_up_gets_the_old_file_back(engine, call, tmp_path, old):
    path = tmp_path / "daemon.json"
    if old:
        path.write_text(old)
    engine.refuses = ("bip",)
    with pytest.raises(WorkspacesError) as caught:
        call({"bip": "10.0.0.1/24", "icc": False}, apply="auto")
    message = str(caught.value)
    assert "it names bip" in message
    assert "icc" not in message.splitlines()[0]
    assert "runs with it again" in message
    assert (path.read_text() if path.exists() else None) == old
    assert engine.running
    assert engine.restarts == 2
    kept = message.rpartition("kept as ")[2].rstrip(".")
    assert json.loads(pathlib.Path(kept).read_text())["bip"] == "10.0.0.1/24"
    engine.refuses = ()
    assert call({"icc": False}, apply="auto").applied == "restart"


def test_an_engine_that_comes_up_with_neither_is_told(engine, call, tmp_path):
    (tmp_path / "daemon.json").write_text('{"debug": true}')
    engine.refuses = ("bip", "debug")
    with pytest.raises(WorkspacesError, match="does not come up with it either"):
        call({"bip": "10.0.0.1/24"}, apply="restart")
    assert (tmp_path / "daemon.json").read_text() == '{"debug": true}'


def test_a_run_killed_in_the_restart_is_finished_by_the_next(engine, call, monkeypatch):
    def killed(self, recipe, timeout):
        type(self).running = False
        raise KeyboardInterrupt

    restart = Engine.restart
    monkeypatch.setattr(engine, "restart", killed)
    with pytest.raises(KeyboardInterrupt):
        call({"icc": False}, apply="auto")
    monkeypatch.setattr(engine, "restart", restart)
    assert call({"icc": False}, apply="auto").applied == "restart"
    assert engine.running


def test_a_reload_that_was_not_taken_is_put_back(engine, call, tmp_path):
    engine.deaf = True
    with pytest.raises(WorkspacesError, match="did not take labels"):
        call({"labels": ["a=b"]}, apply="auto")
    assert not (tmp_path / "daemon.json").exists()


def test_wrong_wishes_are_told_together_and_nothing_is_written(engine, call, tmp_path):
    (tmp_path / "daemon.json").write_text('{"log-level": "loud"}')
    with pytest.raises(WorkspacesError) as caught:
        call({"log-opts": {"max-size": "10x"}, "runtimes": {"n": {"path": "gone"}}})
    assert "max-size" in str(caught.value)
    assert "runtimes.n.path" in str(caught.value)
    assert "log-level" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["daemon.json", "state"]


def test_mistakes_of_others_are_warned_about(engine, call, tmp_path):
    (tmp_path / "daemon.json").write_text('{"log-level": "loud"}')
    assert any("log-level" in warning for warning in call({"icc": False}).warnings)


def test_a_collision_with_the_command_line_is_refused(engine, call):
    engine.argv = ("dockerd", "-H", "fd://")
    with pytest.raises(WorkspacesError, match=r"hosts collides with -H in the running engine's command line"):
        call({"hosts": ["unix:///run/x.sock"]})


def test_the_backup_is_the_old_file(engine, call, tmp_path):
    path = tmp_path / "daemon.json"
    path.write_text('{"icc": true}')
    path.chmod(0o600)
    backup = call({"icc": False}).backup_file
    assert pathlib.Path(backup).read_text() == '{"icc": true}'
    assert os.stat(backup).st_mode & 0o777 == 0o600
    assert call({"icc": True}, backup=False).backup_file == ""


def test_the_record_is_for_root_alone(engine, call, tmp_path):
    call({"proxies": {"http-proxy": "http://u:secret@p"}})
    record = Record(str(tmp_path / "state"), str(tmp_path / "daemon.json")).file
    assert os.stat(record).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(record)).st_mode & 0o777 == 0o700


def test_credentials_are_not_in_the_diff(engine, call):
    assert "secret" not in call({"proxies": {"http-proxy": "http://u:secret@p"}}).after


def test_another_engine_than_one_at_a_socket_is_not_applied_to(engine, call):
    with pytest.raises(WorkspacesError, match="unix://"):
        call({"icc": False}, apply="auto", address="tcp://other:2376")


@pytest.mark.parametrize(
    ("changed", "said", "text"),
    [
        ([("icc",)], "whatever", "the changed key is icc"),
        ([("icc",), ("data-root",)], "mkdir /no/where: read-only", "it names data-root"),
        ([("icc",), ("mtu",)], "boom", "the changed keys are icc, mtu"),
        ([("icc",), ("default-address-pools",)], "pool 10.9.0.0/16 overlaps", "it names default-address-pools"),
    ],
)
def test_the_key_to_blame(changed, said, text):
    after = {"icc": True, "mtu": 1500, "data-root": "/no/where", "default-address-pools": [{"base": "10.9.0.0/16"}]}
    assert blame(changed, after, said) == text


def test_the_telling_lines_of_a_log():
    log = 'level=info msg="failed plugin"\nlevel=warning msg=failed\nfailed to start daemon: http://u:pw@host\n'
    assert telling_lines(log) == "failed to start daemon: http://********@host"


CONTAINERD = {"engine": "containerd", "name": "config.toml"}
FOREIGN = (
    '# by hand\nversion = 2\n\n# of the gc\n[plugins."io.containerd.gc.v1.scheduler"]\nstartup_delay = "1s" # soon\n'
)


def test_a_toml_file_keeps_its_comments_and_the_second_run_leaves_it(engine, call, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(FOREIGN)
    wanted = {"plugins": {"io.containerd.gc.v1.scheduler": {"startup_delay": "10s"}}, "oom_score": -999}
    told = call(wanted, check_mode=True, **CONTAINERD)
    assert path.read_text() == FOREIGN
    first = call(wanted, **CONTAINERD)
    assert (
        path.read_text() == told.after == FOREIGN.replace('"1s"', '"10s"').replace("= 2\n", "= 2\noom_score = -999\n")
    )
    assert first.changed_keys == ['plugins."io.containerd.gc.v1.scheduler".startup_delay', "oom_score"]
    assert pathlib.Path(first.backup_file).read_text() == FOREIGN
    second = call(wanted, **CONTAINERD)
    assert (second.changed, second.restart_needed) == (False, True)
    assert path.read_text() == told.after


def test_containerd_is_never_reloaded_but_restarted(engine, call):
    assert call({"oom_score": -5}, apply="reload", **CONTAINERD).restart_needed
    assert (engine.restarts, engine.reloads) == (0, 0)
    assert call(apply="auto", **CONTAINERD).applied == "restart"
    assert not call(apply="auto", **CONTAINERD).changed


def test_containerd_that_does_not_come_up_gets_the_old_file_back(engine, call, tmp_path):
    (tmp_path / "config.toml").write_text(FOREIGN)
    engine.refuses = ("root",)
    with pytest.raises(WorkspacesError, match="the changed key is root"):
        call({"root": "/proc/none"}, apply="auto", **CONTAINERD)
    assert (tmp_path / "config.toml").read_text() == FOREIGN
    assert engine.running


def test_nothing_is_ever_waiting_for_podman(call, tmp_path):
    first = call({"containers": {"pids_limit": 4096}}, apply="auto", engine="podman", name="containers.conf")
    assert (tmp_path / "containers.conf").read_text() == "[containers]\npids_limit = 4096\n"
    assert (first.changed, first.applied, first.restart_needed) == (True, "none", False)


@pytest.mark.parametrize(
    ("config", "word"),
    [({"a": {"b": None}}, "a.b is null"), ({"a": [2**63]}, "a is 9223372036854775808, which is beyond")],
)
def test_what_toml_does_not_have_is_refused(call, tmp_path, config, word):
    with pytest.raises(WorkspacesError, match=word):
        call(config, **CONTAINERD)
    assert not (tmp_path / "config.toml").exists()


def test_toml_that_is_wrong_is_left_alone(call, tmp_path):
    (tmp_path / "config.toml").write_text("version = 2\n[plugins\n")
    with pytest.raises(WorkspacesError, match=r"config.toml is not valid TOML: .*line 2, column 9"):
        call({"oom_score": 0}, **CONTAINERD)
    assert (tmp_path / "config.toml").read_text() == "version = 2\n[plugins\n"
