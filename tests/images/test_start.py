# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a workspace: what it does by itself, what it says when something of that fails, and how it heals."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

# A guard against waiting for ever, far above what a loaded machine needs.
SECONDS = 300
RUN_STEPS = "/usr/local/lib/codeopen/run-steps /etc/codeopen"
SERVICES = "/run/codeopen/services"
EDITORS = (".vscode-server/data", ".local/share/code-server")

# git's plain HTTP transport is files, so any server that asks for a password will do.
GIT_SERVER = """
import base64, functools, http.server, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        wanted = "Basic " + base64.b64encode(sys.argv[1].encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        super().do_GET()

handler = functools.partial(Handler, directory="/srv/git")
http.server.ThreadingHTTPServer(("127.0.0.1", 8300), handler).serve_forever()
"""


def wait(what: str, ready: Callable[[], bool], workspace: RunningWorkspace) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready():
        if time.monotonic() > deadline:
            health = workspace.run("codeopen-health", check=False).stdout
            pytest.fail(f"never {what}; health:\n{health}\nlog:\n{workspace.logs()[-4000:]}")
        time.sleep(0.3)


def health(workspace: RunningWorkspace) -> list[str]:
    return workspace.run("codeopen-health", check=False).stdout.splitlines()


def has_note(workspace: RunningWorkspace, step: str, text: str = "") -> bool:
    return any(line.startswith(f"{step}: note: ") and text in line for line in health(workspace))


def repository(folder: Path, name: str, files: dict[str, str], branch: str = "main") -> None:
    """Make the bare repository ``name``.git with one commit of executable files."""
    work = folder / f"{name}.work"
    work.mkdir()
    for path, text in files.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
        (work / path).chmod(0o755)
    git = ["git", "-C", str(work), "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    for arguments in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["commit", "--quiet", "--allow-empty", "--message", "Nothing yet"],
        ["checkout", "--quiet", "-B", branch],
        ["add", "--all"],
        ["commit", "--quiet", "--allow-empty", "--message", "All of it"],
        ["checkout", "--quiet", "main"],
        ["clone", "--quiet", "--bare", ".", str(folder / f"{name}.git")],
        ["--git-dir", str(folder / f"{name}.git"), "update-server-info"],
    ):
        subprocess.run([*git, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repositories that the containers see in /srv/git."""
    folder = tmp_path_factory.mktemp("repositories")
    repository(folder, "project", {"README.md": "of the project\n", ".editorconfig": "root = true\n"}, "feature")
    repository(
        folder,
        "dotfiles",
        {".bashrc": "alias greet='echo hello'\n", ".config/tool/settings": "fast\n", "README.md": "mine\n"},
    )
    repository(folder, "scripted", {"install.sh": 'test -e ~/allowed || { echo "not allowed yet"; exit 7; }\n'})
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 1000, 1000)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, repositories: Path) -> Iterator[RunningWorkspace]:
    """A workspace whose project and dotfiles are there, in the state in which a person finds it."""
    with running_workspace(
        image_of("base"), tmp_path_factory.mktemp("secrets"),
        "--volume", "/workspace", "--volume", f"{repositories}:/srv/git:ro",
        "--env", 'CODEOPEN_GIT_NAME=Ada "the first" Lovelace', "--env", "CODEOPEN_GIT_EMAIL=ada@example.org",
        "--env", "CODEOPEN_PROJECT=file:///srv/git/project.git", "--env", "CODEOPEN_PROJECT_BRANCH=feature",
        "--env", "CODEOPEN_DOTFILES=file:///srv/git/dotfiles.git",
    ) as workspace:  # fmt: skip
        done = "test -f ~/.local/state/codeopen/dotfiles"
        wait("set up", lambda: workspace.run(done, check=False).returncode == 0, workspace)
        yield workspace


@pytest.fixture(scope="module")
def programs(ready: RunningWorkspace) -> RunningWorkspace:
    """The same with the real gh and OpenSSH server of Debian, which the base does not have."""
    ready.run(
        "sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive"
        " apt-get install -qq -y --no-install-recommends gh openssh-server >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }"
    )
    return ready


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory, repositories: Path) -> Iterator[RunningWorkspace]:
    """A workspace whose project's server is down and whose dotfiles fail; it looks at its secrets all the time."""
    with running_workspace(
        image_of("base"), tmp_path_factory.mktemp("secrets"),
        "--volume", f"{repositories}:/srv/git:ro", "--env", "CODEOPEN_SECRETS_INTERVAL=1",
        "--env", "CODEOPEN_PROJECT=http://127.0.0.1:8300/project.git",
        "--env", "CODEOPEN_DOTFILES=file:///srv/git/scripted.git",
    ) as workspace:  # fmt: skip
        yield workspace


def test_a_start_without_trouble_has_no_notes(ready: RunningWorkspace) -> None:
    assert not [line for line in health(ready) if "note" in line]
    assert ready.run("codeopen-health").returncode == 0


def test_commits_have_the_identity_of_the_environment(ready: RunningWorkspace) -> None:
    script = "git init -q /tmp/r; git -C /tmp/r commit -q --allow-empty -m x; git -C /tmp/r log -1 --format='%an <%ae>'"
    assert ready.run(script).stdout == 'Ada "the first" Lovelace <ada@example.org>\n'


def test_the_persons_own_identity_wins(ready: RunningWorkspace) -> None:
    try:
        assert ready.run("git config --global user.name Grace; git config user.name").stdout == "Grace\n"
        assert ready.run("git config user.email").stdout == "ada@example.org\n"
    finally:
        ready.run("rm ~/.gitconfig")


def test_project_is_cloned_into_the_empty_workspace(ready: RunningWorkspace) -> None:
    assert ready.run("git branch --show-current; git status --short; cat README.md; ls -A").stdout.split("\n") == [
        "feature", "of the project", ".editorconfig", ".git", "README.md", "",
    ]  # fmt: skip


def test_workspace_with_anything_in_it_is_not_touched(ready: RunningWorkspace) -> None:
    try:
        ready.run("shopt -s dotglob; mkdir /tmp/kept; mv * /tmp/kept/; echo precious >.hidden")
        log = ready.run(f"{RUN_STEPS}/setup.d").stdout
        assert "/workspace is not empty" in log
        assert ready.run("ls -A; cat .hidden").stdout.split() == [".hidden", "precious"]
    finally:
        ready.run("shopt -s dotglob; rm -f .hidden; mv /tmp/kept/* .")


def test_clone_that_was_interrupted_is_made_again(ready: RunningWorkspace) -> None:
    ready.run("shopt -s dotglob; rm -rf *; mkdir .codeopen-clone; echo half >.codeopen-clone/README.md")
    ready.run(f"{RUN_STEPS}/setup.d")
    assert ready.run("cat README.md; ls -A").stdout.split("\n") == [
        "of the project", ".editorconfig", ".git", "README.md", "",
    ]  # fmt: skip


def test_dotfiles_are_linked_and_replace_defaults(ready: RunningWorkspace) -> None:
    assert ready.run("readlink ~/.bashrc ~/.config/tool/settings").stdout.split() == [
        "/home/developer/.dotfiles/.bashrc",
        "/home/developer/.dotfiles/.config/tool/settings",
    ]
    assert ready.run("bash -ic greet").stdout == "hello\n"
    assert ready.run("test -e ~/README.md", check=False).returncode == 1


def test_dotfiles_leave_the_persons_files(ready: RunningWorkspace) -> None:
    script = f"cd; rm .local/state/codeopen/dotfiles .config/tool/settings; echo own >.config/tool/settings; {RUN_STEPS}/setup.d"
    assert "left as it is: /home/developer/.config/tool/settings" in ready.run(script).stdout
    assert ready.run("cat ~/.config/tool/settings").stdout == "own\n"


def test_home_defaults_reach_an_old_volume_and_spare_the_persons_files(ready: RunningWorkspace) -> None:
    # What a newer image would have: two of the defaults changed, one new in a folder.
    ready.run("cd; echo '# mine' >>.bash_logout")
    ready.run(
        "cd /etc/skel; sudo mkdir -p .config/new; echo fresh | sudo tee .config/new/file >/dev/null;"
        "echo '# newer' | sudo tee -a .profile .bash_logout >/dev/null"
    )
    log = ready.run(f"{RUN_STEPS}/start.d").stdout
    assert "brought /home/developer/.profile" in log
    assert ready.run("cd; tail -qn 1 .profile .bash_logout .config/new/file").stdout.splitlines() == [
        "# newer", "# mine", "fresh",
    ]  # fmt: skip
    # Deleted by the person, and changed by them after it was delivered.
    ready.run("cd; rm .config/new/file; echo '# mine too' >>.profile")
    ready.run("echo '# newest' | sudo tee -a /etc/skel/.profile /etc/skel/.config/new/file >/dev/null")
    assert "brought" not in ready.run(f"{RUN_STEPS}/start.d").stdout
    assert ready.run("cd; tail -n 1 .profile; ls .config/new").stdout.splitlines() == ["# mine too"]


def test_an_empty_home_gets_the_defaults(ready: RunningWorkspace) -> None:
    script = (
        "export HOME=$(mktemp -d); /etc/codeopen/start.d/20-home >/dev/null; cmp ~/.bash_logout /etc/skel/.bash_logout"
    )
    assert ready.run(script).returncode == 0


def test_editor_settings_come_and_spare_the_persons(ready: RunningWorkspace) -> None:
    key = "terminal.integrated.defaultProfile.linux"
    files = [f"/home/developer/{folder}/Machine/settings.json" for folder in EDITORS]
    more = "sudo tee /etc/codeopen/editor.d/more.json >/dev/null; /etc/codeopen/start.d/50-editor"
    try:
        for file in files:
            assert ready.run(f"jq -c . {file}").stdout == f'{{"{key}":"bash"}}\n'
            ready.run(f"""jq '. + {{"{key}": "zsh", "own": 1}}' {file} >/tmp/s && mv /tmp/s {file}""")
        ready.run(f"""echo '{{"added": 2, "changed": 3}}' | {more}""")
        for file in files:
            assert ready.run(f"jq -c . {file}").stdout == f'{{"{key}":"zsh","own":1,"added":2,"changed":3}}\n'
            ready.run(f"jq 'del(.added)' {file} >/tmp/s && mv /tmp/s {file}")
        ready.run(f"""echo '{{"added": 2, "changed": 4}}' | {more}""")
        for file in files:
            assert ready.run(f"jq -c . {file}").stdout == f'{{"{key}":"zsh","own":1,"changed":4}}\n'
    finally:
        ready.run("sudo rm -f /etc/codeopen/editor.d/more.json")


def test_editor_settings_with_comments_stay(ready: RunningWorkspace) -> None:
    file = "$HOME/.vscode-server/data/Machine/settings.json"
    script = f"export HOME=$(mktemp -d); mkdir -p $(dirname {file}); echo '{{}} // mine' >{file}"
    done = ready.run(f"{script}; /etc/codeopen/start.d/50-editor; cat {file}")
    assert done.stdout.splitlines()[1:] == ["{} // mine"]
    assert "is left as it is" in done.stdout


def credential(workspace: RunningWorkspace, host: str) -> str:
    """The password that git has for a host, or nothing."""
    question = f"printf 'protocol=https\\nhost={host}\\n\\n'"
    answer = workspace.run(f"{question} | GIT_TERMINAL_PROMPT=0 git credential fill", check=False).stdout
    return "".join(line.removeprefix("password=") for line in answer.splitlines() if line.startswith("password="))


def test_git_uses_the_tokens_as_they_are_now(ready: RunningWorkspace) -> None:
    first, second, other = (secrets.token_hex(8) for number in range(3))
    assert credential(ready, "github.com") == ""
    ready.write_secret("github-token", f"{first}\n")
    ready.write_secret("git-credentials", f"https://me:{other}@git.example.org\n")
    assert (credential(ready, "github.com"), credential(ready, "git.example.org")) == (first, other)
    assert credential(ready, "elsewhere.example.org") == ""
    ready.write_secret("github-token", f"{second}\n")
    assert credential(ready, "github.com") == second
    told = docker("inspect", ready.name).stdout + ready.logs()
    assert not any(token in told for token in (first, second, other))


def test_gh_is_logged_in_by_the_token(programs: RunningWorkspace) -> None:
    token = secrets.token_hex(8)
    programs.write_secret("github-token", f"{token}\n")
    assert programs.run("gh auth token").stdout == f"{token}\n"
    assert programs.run("GH_TOKEN=own gh auth token").stdout == "own\n"
    assert programs.run("env | grep -c GH_TOKEN", check=False).stdout == "0\n"
    try:
        programs.write("/home/developer/.config/gh/config.yml", 'version: "1"\n')
        programs.write(
            "/home/developer/.config/gh/hosts.yml", "github.com:\n  user: me\n  oauth_token: mine\n  users: {me: {}}\n"
        )
        assert programs.run("gh auth token").stdout == "mine\n"
    finally:
        programs.run("rm -r ~/.config/gh")


def test_gh_says_that_it_is_not_installed(troubled: RunningWorkspace) -> None:
    done = troubled.run("gh auth token", check=False)
    assert done.returncode == 127
    assert "toolbox" in done.stderr


def test_git_over_ssh_with_key_and_known_host(programs: RunningWorkspace) -> None:
    programs.run(
        "rm -rf /tmp/ssh; mkdir -m 700 /tmp/ssh; cd /tmp/ssh; ssh-keygen -q -t ed25519 -N '' -f host;"
        "ssh-keygen -q -t ed25519 -N '' -f key; cp key.pub authorized; sudo mkdir -p /run/sshd;"
        "/usr/sbin/sshd -f /dev/null -h /tmp/ssh/host -p 2200 -o UsePAM=no -o PidFile=none -o StrictModes=no"
        " -o AuthorizedKeysFile=/tmp/ssh/authorized"
    )
    clone = "rm -rf /tmp/c; GIT_SSH_COMMAND='ssh -o BatchMode=yes' git clone -q ssh://127.0.0.1:2200/srv/git/project.git /tmp/c"
    programs.write_secret("ssh-key-deploy", programs.run("cat /tmp/ssh/key").stdout)
    programs.run("/etc/codeopen/start.d/40-ssh")
    assert "Host key verification failed" in programs.run(clone, check=False).stderr
    host = programs.run("cut -d ' ' -f 1,2 /tmp/ssh/host.pub").stdout
    programs.write_secret("known_hosts", f"[127.0.0.1]:2200 {host}")
    assert programs.run(clone).returncode == 0
    assert "identityfile ~/.ssh/id_ed25519" in programs.run("ssh -G 127.0.0.1").stdout
    (programs.secrets_dir / "ssh-key-deploy").unlink()
    programs.run("/etc/codeopen/start.d/40-ssh")
    assert "Permission denied" in programs.run(clone, check=False).stderr


def test_reload_takes_up_secrets_at_once(ready: RunningWorkspace) -> None:
    # Nobody looks by itself here: the next look is five minutes away.
    ready.write_secret("ssh-key", "no key at all\n")
    ready.run("codeopen-reload")
    wait("told about the key", lambda: has_note(ready, "ssh", "/run/codeopen/secrets/ssh-key"), ready)
    assert ready.run("codeopen-health").returncode == 0
    (ready.secrets_dir / "ssh-key").unlink()
    ready.run("codeopen-reload")
    wait("content with the key gone", lambda: not has_note(ready, "ssh"), ready)


def test_folders_without_a_volume_are_named() -> None:
    command = ("--entrypoint", "/etc/codeopen/start.d/10-volumes", image_of("base"))
    done = docker("run", "--rm", *command, check=False)
    assert (done.returncode, done.stdout.partition(";")[0]) == (1, "not on a volume: /home/developer and /workspace")
    done = docker("run", "--rm", "--volume", "/workspace", "--tmpfs", "/home/developer", *command, check=False)
    assert (done.returncode, done.stdout.partition(";")[0]) == (1, "not on a volume: /home/developer")
    done = docker("run", "--rm", "--volume", "/workspace", "--volume", "/home/developer", *command)
    assert done.stdout == ""


def test_what_fails_is_in_log_and_health_and_stops_nothing(troubled: RunningWorkspace) -> None:
    for step, text in (
        ("volumes", "not on a volume: /workspace"),
        ("project", "cannot clone http://127.0.0.1:8300/project.git: fatal: unable to access"),
        ("dotfiles", "/home/developer/.dotfiles/install.sh failed with exit code 7: not allowed yet"),
    ):
        wait(f"a note of {step}", lambda step=step, text=text: has_note(troubled, step, text), troubled)
        assert f"[setup] {step}: {text}" in troubled.logs()
    assert troubled.run("codeopen-health").returncode == 0
    assert troubled.run("ls -A").stdout == ""


def test_address_with_a_password_is_refused(troubled: RunningWorkspace) -> None:
    done = troubled.run(
        "CODEOPEN_PROJECT=http://me:hidden@127.0.0.1:8300/p.git /etc/codeopen/setup.d/10-project", check=False
    )
    assert done.returncode == 1
    assert "http://127.0.0.1:8300/p.git: fatal: URL" in done.stdout
    assert "hidden" not in done.stdout + done.stderr


def test_wrong_lines_of_credentials_are_named_by_number(troubled: RunningWorkspace) -> None:
    troubled.write_secret("git-credentials", "https://me:word@git.example.org\n\nmistaken\n")
    wait("told about the line", lambda: has_note(troubled, "git", "wrong are lines: 3"), troubled)
    assert "mistaken" not in "\n".join(health(troubled)) + troubled.logs()


def test_project_comes_when_its_token_comes(troubled: RunningWorkspace) -> None:
    word = secrets.token_hex(8)
    troubled.write("/tmp/server.py", GIT_SERVER)
    docker("exec", "--detach", troubled.name, "python3", "/tmp/server.py", f"me:{word}")
    wait("served", lambda: "401" in troubled.run("curl -si 127.0.0.1:8300", check=False).stdout, troubled)
    troubled.run("touch ~/allowed")
    troubled.write_secret("git-credentials", f"http://me:{word}@127.0.0.1:8300\n")
    wait("cloned", lambda: troubled.run("test -d .git", check=False).returncode == 0, troubled)
    wait("set up", lambda: not has_note(troubled, "dotfiles") and not has_note(troubled, "project"), troubled)
    assert word not in troubled.logs()
    assert word not in troubled.run("cat .git/config").stdout


@pytest.mark.parametrize("service", ["opencode", "acp-gateway"])
def test_killed_service_heals(troubled: RunningWorkspace, service: str) -> None:
    wait("healthy", lambda: troubled.run("codeopen-health", check=False).returncode == 0, troubled)
    process = f"cat {SERVICES}/{service}/supervise/pid"
    old = troubled.run(process).stdout
    troubled.run(f"kill -KILL {old}")
    wait("back", lambda: troubled.run(process).stdout not in ("", old), troubled)
    wait("healthy", lambda: troubled.run("codeopen-health", check=False).returncode == 0, troubled)


def test_service_that_cannot_start_is_unhealthy_with_its_last_lines(troubled: RunningWorkspace) -> None:
    # It has no health check of its own.
    run = f"{SERVICES}/setup/run"
    troubled.run(f"cp {run} /tmp/run; printf '#!/bin/sh\\nexec 2>&1\\necho no such thing; exit 3\\n' >{run}")
    try:
        troubled.run(f"kill $(cat {SERVICES}/setup/supervise/pid)")
        wait("unhealthy", lambda: troubled.run("codeopen-health", check=False).returncode == 1, troubled)
        told = health(troubled)
        assert told[0].startswith("setup: UNHEALTHY: it ends again and again (")
        assert "last with exit code 3)" in told[0]
        assert told[5] == "    | no such thing"
        assert "opencode: healthy" in told
    finally:
        troubled.run(f"cp /tmp/run {run}")
    wait("healthy again", lambda: troubled.run("codeopen-health", check=False).returncode == 0, troubled)


def test_stopping_ends_a_clone_that_hangs(troubled: RunningWorkspace) -> None:
    # A server that takes the connection and says nothing.
    silent = "import socket, time; s = socket.create_server(('127.0.0.1', 8301)); time.sleep(3600)"
    docker("exec", "--detach", troubled.name, "python3", "-c", silent)
    troubled.run(
        "shopt -s dotglob; rm -rf *; git config --global url.http://127.0.0.1:8301/.insteadOf http://127.0.0.1:8300/"
    )
    troubled.run("codeopen-reload")
    wait("cloning", lambda: has_note(troubled, "project", "runs since"), troubled)
    troubled.run(f"sv -w 60 force-stop {SERVICES}/setup")
    assert troubled.run("pgrep git", check=False).stdout == ""
