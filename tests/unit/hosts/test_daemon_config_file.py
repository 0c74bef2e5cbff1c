# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writer: killed, refused or out of space at any step, the old or the new file is there, whole."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
import sys
import textwrap

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_file as config_file
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import WorkspacesError

ROOT = pathlib.Path(__file__).parents[3]
OLD, NEW = '{"old": true}\n', '{"new": true}\n'
# What the writer asks of the kernel. Each call is a step before and after which the process may die.
STEPS = ("open", "write", "fchown", "fchmod", "fsync", "replace", "unlink", "close", "makedirs")

KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from ansible_collections.codeopen.workspaces.plugins.module_utils import daemon_config_file as config_file

    path, step, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    calls = 0

    def wrap(name):
        real = getattr(os, name)
        def call(*args, **kwargs):
            global calls
            calls += 1
            if calls == step and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            own = calls
            try:
                if own == step and name == "write":
                    return real(args[0], args[1][:3])
                return real(*args, **kwargs)
            finally:
                if own == step:
                    os.kill(os.getpid(), signal.SIGKILL)
        return call

    state = config_file.read(path)
    for name in %r:
        setattr(os, name, wrap(name))
    if state.text is not None:
        config_file.back_up(state)
    config_file.write(state, %r)
    """
) % (STEPS, NEW)


def run_killed(path, step, when):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(step), when],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("old", [OLD, None])
def test_killed_at_each_step_the_old_or_the_new_file_is_there(tmp_path, old, when):
    path = tmp_path / "daemon.json"
    seen = set()
    for step in range(1, 100):
        if old is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(old)
            path.chmod(0o640)
        done = run_killed(path, step, when)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        text = path.read_text() if path.exists() else None
        assert text in (old, NEW)
        seen.add(text)
        if old is not None:
            assert path.stat().st_mode & 0o777 == 0o640
            for backup in tmp_path.glob("daemon.json.*~"):
                assert backup.read_text() in (OLD, NEW)
    assert step > 8
    assert seen == {old, NEW}
    assert path.read_text() == NEW
    assert list(tmp_path.glob(".daemon.json.codeopen-*")) == []


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "fchmod", "fchown"])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, step):
    path = tmp_path / "daemon.json"
    path.write_text(OLD)
    state = config_file.read(str(path))

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(WorkspacesError, match=r"daemon\.json was left as it is.*disk is full"):
        config_file.write(state, NEW)
    monkeypatch.undo()
    assert path.read_text() == OLD
    assert os.listdir(tmp_path) == ["daemon.json"]


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    path = tmp_path / "daemon.json"
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: real(descriptor, content[:2]))
    config_file.write(config_file.read(str(path)), NEW)
    assert path.read_text() == NEW


def test_mode_and_owner_stay(tmp_path):
    path = tmp_path / "daemon.json"
    path.write_text(OLD)
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    config_file.write(config_file.read(str(path)), NEW)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_link_is_followed_or_refused(tmp_path):
    target = tmp_path / "real.json"
    target.write_text(OLD)
    link = tmp_path / "daemon.json"
    link.symlink_to("real.json")
    config_file.write(config_file.read(config_file.resolve(str(link), follow=True)), NEW)
    assert link.is_symlink()
    assert target.read_text() == NEW
    with pytest.raises(WorkspacesError, match=r"symbolic link to .*real\.json"):
        config_file.resolve(str(link), follow=False)


def test_a_link_to_nowhere_and_a_folder_are_refused(tmp_path):
    link = tmp_path / "daemon.json"
    link.symlink_to("gone.json")
    with pytest.raises(WorkspacesError, match="does not exist"):
        config_file.resolve(str(link), follow=True)
    with pytest.raises(WorkspacesError, match="not a regular file"):
        config_file.resolve(str(tmp_path), follow=True)


@pytest.mark.parametrize(("letter", "word"), [("i", "immutable"), ("a", "append-only")])
def test_a_file_with_flags_is_named(tmp_path, letter, word):
    path = tmp_path / "daemon.json"
    path.write_text(OLD)
    done = subprocess.run(["chattr", f"+{letter}", str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this file system or user has no chattr: {done.stderr.strip()}")
    try:
        with pytest.raises(WorkspacesError, match=rf"is {word}.*chattr -{letter}"):
            config_file.write(config_file.read(str(path)), NEW)
        assert os.listdir(tmp_path) == ["daemon.json"]
    finally:
        subprocess.run(["chattr", f"-{letter}", str(path)], check=True)
    assert path.read_text() == OLD


def test_what_is_not_text_is_refused(tmp_path):
    path = tmp_path / "daemon.json"
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(WorkspacesError, match="not UTF-8"):
        config_file.read(str(path))
