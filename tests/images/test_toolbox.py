# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on toolbox: what a person does with each tool, in a terminal where the tool is for one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from running_workspace import RunningWorkspace, image_of, running_workspace

pytestmark = pytest.mark.catalogue

# A guard against waiting for ever, far above what a loaded machine needs.
SECONDS = 120


class Terminal:
    """A session of tmux in the workspace, which types keys and reads the screen."""

    def __init__(self, workspace: RunningWorkspace, name: str, folder: str, command: str = "") -> None:
        self.workspace = workspace
        self.name = name
        workspace.run(f"tmux new-session -d -s {name} -x 150 -y 45 -c {folder} {command}")

    def keys(self, *keys: str) -> None:
        """Press keys, by the names that tmux has for them."""
        self.workspace.run(f"tmux send-keys -t {self.name} " + " ".join(f"'{key}'" for key in keys))

    def enter(self, line: str) -> None:
        """Type a line, which may not have single quotes, and press Enter."""
        self.workspace.run(f"tmux send-keys -t {self.name} -l '{line}' && tmux send-keys -t {self.name} Enter")

    def screen(self, options: str = "") -> str:
        return self.workspace.run(f"tmux capture-pane -p -t {self.name} {options}").stdout

    def wait_for(self, pattern: str, options: str = "") -> str:
        """Wait until the screen shows a pattern; gives the screen."""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, screen := self.screen(options), re.MULTILINE):
            assert time.monotonic() < deadline, f"{pattern!r} never showed up:\n{screen}"
            time.sleep(0.2)
        return screen

    def close(self) -> None:
        self.workspace.run(f"tmux kill-session -t {self.name}", check=False)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """A workspace with a git repository in its workspace folder, and an untouched home."""
    with running_workspace(image_of("toolbox"), tmp_path_factory.mktemp("secrets")) as workspace:
        workspace.run(
            "git config --global user.name Somebody && git config --global user.email somebody@example.org;"
            " git init --quiet demo && cd demo && printf 'def greet(name):\\n    return name\\n' >greet.py"
            " && git add . && git commit --quiet --message First"
        )
        yield workspace


@pytest.fixture
def terminal(workspace: RunningWorkspace) -> Iterator[Terminal]:
    """A terminal in the repository, at the prompt of the shell that tmux starts."""
    terminal = Terminal(workspace, "terminal", "/workspace/demo")
    try:
        terminal.wait_for(r"^> *$")
        yield terminal
    finally:
        terminal.close()


def test_tmux_starts_zsh_with_starships_prompt(terminal: Terminal) -> None:
    assert "demo on main" in terminal.screen()
    terminal.enter("print $ZSH_VERSION-$0; false")
    assert re.search(r"^5\.\d+\S*-\S*zsh$", terminal.wait_for(r"^x *$"), re.MULTILINE)


def test_zsh_completes_in_any_case_and_remembers_folders(terminal: Terminal) -> None:
    terminal.keys("git checko", "Tab")
    terminal.wait_for("git checkout")
    terminal.keys("C-u")
    terminal.keys("cd /WORKSPACE/DE", "Tab", "Enter")
    terminal.enter("/tmp")
    terminal.enter("dirs -v")
    terminal.wait_for(r"1\s+/workspace/demo$")


def test_zsh_suggests_from_history(terminal: Terminal) -> None:
    terminal.enter("print said-once")
    terminal.wait_for("^said-once$")
    terminal.enter("clear")
    terminal.keys("print sa")
    terminal.wait_for("print said-once")
    terminal.keys("Right", "Enter")
    terminal.wait_for("^said-once$")


def test_fzf_searches_the_history_of_zsh(terminal: Terminal) -> None:
    terminal.enter("print searched-for")
    # The terminal itself takes Ctrl-R as long as there is no prompt.
    terminal.wait_for(r"^searched-for$\s+^demo on main.*$\s+^>\s*\Z")
    terminal.keys("C-r")
    terminal.wait_for(r"\d+/\d+")
    terminal.keys("searchedfor")
    terminal.wait_for(r"1/\d+")
    terminal.keys("Enter")
    terminal.wait_for("^> print searched-for$")


def test_zsh_colours_commands_that_do_not_exist(terminal: Terminal) -> None:
    red = "\x1b[1m\x1b[31m"
    terminal.keys("nosuchcommand")
    terminal.wait_for(re.escape(f"{red}nosuchcommand"), "-e")


def test_the_persons_own_files_have_the_last_word(workspace: RunningWorkspace) -> None:
    try:
        workspace.write("/home/developer/.zshrc", "PROMPT='mine %# '\nunalias gst\n")
        terminal = Terminal(workspace, "own", "/workspace")
        terminal.wait_for("^mine %")
        terminal.close()
        assert workspace.run("zsh -ic 'alias gst'", check=False).returncode == 1
        assert workspace.run("zsh -ic 'alias gd'").stdout == "gd='git diff'\n"
        workspace.write("/home/developer/.zshenv", "TOOLBOX_DEFAULTS=0\n")
        assert workspace.run("zsh -ic 'alias gd'", check=False).returncode == 1
    finally:
        workspace.run("rm -f ~/.zshrc ~/.zshenv")


def test_the_persons_own_prompt_settings_win_as_soon_as_they_are_there(workspace: RunningWorkspace) -> None:
    assert workspace.run("zsh -ic 'print $STARSHIP_CONFIG'").stdout == "/opt/toolbox/etc/starship.toml\n"
    try:
        workspace.write("/home/developer/.config/starship.toml", 'format = "mine:$directory"\n')
        prompt = "STARSHIP_CONFIG=/opt/toolbox/etc/starship.toml zsh -ic 'cd /workspace; starship prompt'"
        assert "mine:" in workspace.run(prompt).stdout
    finally:
        workspace.run("rm ~/.config/starship.toml")


@pytest.mark.parametrize("options", ["-c", "-lc"])
def test_zsh_has_the_environment_of_bash(workspace: RunningWorkspace, options: str) -> None:
    def environment(shell: str) -> dict[str, str]:
        lines = workspace.run(f"env -i HOME=$HOME PATH=$PATH {shell} {options} 'env --null'").stdout.split("\0")
        variables = dict(line.split("=", 1) for line in lines if line)
        # These are the shells' own.
        return {name: value for name, value in variables.items() if name not in ("_", "LOGNAME", "OLDPWD", "SHLVL")}

    workspace.run("echo 'export FROM_PROFILE=1' | sudo tee /etc/codeopen/profile.d/test.sh")
    try:
        # BASH_ENV is how bash's scripts come by what /etc/zsh/zshenv brings to zsh's.
        workspace.run("test $BASH_ENV = /usr/local/lib/codeopen/shell-env")
        bash = "BASH_ENV=$BASH_ENV bash"
        zsh = "BASH_ENV=$BASH_ENV zsh"
        assert environment(zsh) == environment(bash)
        assert "SSL_CERT_FILE" in environment(zsh)
        assert ("FROM_PROFILE" in environment(zsh)) == (options == "-lc")
    finally:
        workspace.run("sudo rm /etc/codeopen/profile.d/test.sh")


def test_logins_get_zsh_and_services_keep_bash(workspace: RunningWorkspace) -> None:
    assert workspace.run("getent passwd developer").stdout.endswith(":/usr/bin/zsh\n")
    assert workspace.run("echo $SHELL").stdout == "/bin/bash\n"


@pytest.mark.parametrize("shell", ["zsh", "bash"])
def test_direnv_brings_a_folders_variables_once_it_is_allowed(workspace: RunningWorkspace, shell: str) -> None:
    workspace.write(f"/workspace/{shell}-direnv/.envrc", "export GREETING=hello-from-envrc\n")
    terminal = Terminal(workspace, "direnv", f"/workspace/{shell}-direnv", shell)
    try:
        terminal.wait_for("is blocked")
        terminal.enter("direnv allow")
        terminal.wait_for("export .GREETING")
        terminal.enter("echo $GREETING; cd ..")
        terminal.wait_for("^hello-from-envrc$")
        terminal.enter("echo now-${GREETING:-nothing}")
        terminal.wait_for("^now-nothing$")
    finally:
        terminal.close()


MISE = """\
[tools]
node = "99.0.0"

[env]
STAGE = "testing"

[tasks.hello]
run = 'echo "hello $STAGE"'
"""


@pytest.mark.parametrize("shell", ["zsh", "bash"])
def test_mise_runs_tasks_and_sets_a_folders_variables(workspace: RunningWorkspace, shell: str) -> None:
    workspace.write(f"/workspace/{shell}-mise/mise.toml", MISE.replace('node = "99.0.0"\n', ""))
    terminal = Terminal(workspace, "mise", f"/workspace/{shell}-mise", shell)
    try:
        terminal.enter("mise trust && clear")
        terminal.enter("echo stage-$STAGE; mise run hello")
        screen = terminal.wait_for("^hello testing$")
        assert "stage-testing" in screen
    finally:
        terminal.close()


def test_a_version_that_mise_manages_is_found_by_every_process(workspace: RunningWorkspace) -> None:
    workspace.write("/workspace/versions/mise.toml", MISE)
    workspace.run(
        "mkdir -p ~/node-99/bin && printf '#!/bin/sh\\necho v99.0.0\\n' >~/node-99/bin/node"
        " && chmod +x ~/node-99/bin/node && mise trust && mise link node@99.0.0 ~/node-99 && mise reshim",
        workdir="/workspace/versions",
    )
    assert workspace.run("command -v node; node", workdir="/workspace/versions").stdout.split() == [
        "/home/developer/.local/share/mise/shims/node",
        "v99.0.0",
    ]
    assert "installed via a package manager" in workspace.run("mise self-update --yes 2>&1", check=False).stdout


CHANGED = "def greet(name):\n    return f'hello {name}'\n"


@pytest.fixture
def changed(workspace: RunningWorkspace) -> Iterator[RunningWorkspace]:
    """The repository with a change that is not committed."""
    workspace.write("/workspace/demo/greet.py", CHANGED)
    yield workspace
    workspace.run("git reset --quiet --hard", workdir="/workspace/demo")


def test_git_shows_diffs_through_delta_at_a_terminal_only(changed: RunningWorkspace) -> None:
    shown = changed.run("DELTA_PAGER=cat script -qec 'git diff' /dev/null", workdir="/workspace/demo").stdout
    assert "───" in shown
    assert "diff --git" not in shown
    changed.run("git diff >/tmp/plain.diff && git apply --check --reverse /tmp/plain.diff", workdir="/workspace/demo")


def test_difftastic_compares_syntax(changed: RunningWorkspace) -> None:
    changed.write("/tmp/one.py", "total = add(1, 2)\n")
    changed.write("/tmp/two.py", "total = add(\n    1,\n    2,\n)\n")
    changed.write("/tmp/three.py", "total = add(1, 3)\n")
    assert "No syntactic changes" in changed.run("difft /tmp/one.py /tmp/two.py").stdout
    assert changed.run("difft --exit-code /tmp/one.py /tmp/three.py", check=False).returncode == 1
    shown = changed.run("git difft", workdir="/workspace/demo").stdout
    assert "greet.py --- Python" in shown
    assert "diff --git" not in shown
    shown = changed.run("git difftool --no-prompt --tool difftastic", workdir="/workspace/demo").stdout
    assert "hello" in shown


def test_lazygit_stages_and_commits(changed: RunningWorkspace) -> None:
    terminal = Terminal(changed, "lazygit", "/workspace/demo", "lazygit")
    try:
        terminal.wait_for("M greet.py|greet.py")
        screen = terminal.screen()
        if "Press <enter>" in screen or "Thanks for using lazygit" in screen:
            terminal.keys("Enter")
        terminal.keys("2")
        terminal.keys("Space")
        terminal.wait_for("^.*M  greet.py")
        terminal.keys("c")
        terminal.wait_for("Commit summary")
        terminal.enter("By lazygit")
        terminal.wait_for("By lazygit")
        changed.run(
            f"timeout {SECONDS} sh -c 'until git log -1 --format=%s | grep -qx \"By lazygit\"; do sleep 0.3; done'",
            workdir="/workspace/demo",
        )
    finally:
        terminal.close()
        changed.run("git reset --quiet --hard $(git rev-list --max-parents=0 HEAD)", workdir="/workspace/demo")


def test_gh_says_that_nobody_is_logged_in(workspace: RunningWorkspace) -> None:
    done = workspace.run("gh auth status", check=False)
    assert done.returncode == 1
    assert "You are not logged into any GitHub hosts" in done.stdout + done.stderr


def test_yq_edits_yaml_in_place_and_keeps_comments(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/config.yml", "# kept\nservers:\n  - name: one\n    port: 80\n")
    workspace.run("yq --inplace '(.servers[] | select(.name == \"one\").port) = 8080' /tmp/config.yml")
    assert workspace.run("cat /tmp/config.yml").stdout == "# kept\nservers:\n  - name: one\n    port: 8080\n"
    assert (
        workspace.run("yq --output-format json --indent 0 . /tmp/config.yml | jq '.servers[0].port'").stdout == "8080\n"
    )


@pytest.fixture(scope="module")
def tree(workspace: RunningWorkspace) -> str:
    """A folder with files to look for."""
    workspace.run(
        "git init --quiet tree && cd tree && mkdir -p src/deep && echo 'needle in here' >src/deep/found.txt"
        " && echo ignored.txt >.gitignore && echo 'needle ignored' >ignored.txt && printf 'x = 1\\n' >src/code.py"
    )
    return "/workspace/tree"


def test_files_and_lines_are_found(workspace: RunningWorkspace, tree: str) -> None:
    assert workspace.run("fd --extension txt", workdir=tree).stdout == "src/deep/found.txt\n"
    assert workspace.run("rg --no-heading needle", workdir=tree).stdout == "src/deep/found.txt:needle in here\n"
    assert workspace.run("fd | fzf --filter sdft | head -n 1", workdir=tree).stdout == "src/deep/found.txt\n"


def test_fzf_takes_files_as_fd_finds_them(workspace: RunningWorkspace, tree: str) -> None:
    terminal = Terminal(workspace, "fzf", tree)
    try:
        terminal.wait_for(r"^> *$")
        terminal.keys("cat ", "C-t")
        screen = terminal.wait_for("found.txt")
        assert "ignored.txt" not in screen
        terminal.keys("found")
        terminal.wait_for("1/")
        terminal.keys("Enter")
        terminal.wait_for("> cat .*src/deep/found.txt")
        terminal.keys("Enter")
        terminal.wait_for("^needle in here$")
    finally:
        terminal.close()


def test_files_are_listed(workspace: RunningWorkspace, tree: str) -> None:
    assert re.search(r"-N.* found\.txt$", workspace.run("eza --long --git src/deep", workdir=tree).stdout)
    assert "└── found.txt" in workspace.run("eza --tree src", workdir=tree).stdout
    assert workspace.run("tree --noreport src", workdir=tree).stdout.count("──") == 3


def test_bat_colours_source_and_glow_renders_markdown(workspace: RunningWorkspace, tree: str) -> None:
    coloured = workspace.run("bat --color always --plain src/code.py", workdir=tree).stdout
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == "x = 1\n"
    workspace.write("/tmp/page.md", "# Title\n\n- one\n- two\n")
    assert "• one" in workspace.run("glow --style dark /tmp/page.md").stdout


def test_just_runs_recipes_with_what_they_depend_on(workspace: RunningWorkspace) -> None:
    workspace.write(
        "/workspace/just/justfile", "greet name: build\n    @echo hello {{name}}\n\nbuild:\n    @echo built\n"
    )
    assert workspace.run("just greet you", workdir="/workspace/just").stdout == "built\nhello you\n"


ECHO = """\
import http.server, json

class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"downloaded")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("127.0.0.1", 8765), Echo).serve_forever()
"""


def test_httpie_posts_json_and_wget_downloads(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/echo.py", ECHO)
    workspace.run("setsid python3 /tmp/echo.py >/tmp/echo.log 2>&1 & echo $! >/tmp/echo.pid")
    try:
        workspace.run("timeout 60 sh -c 'until curl -s --noproxy \"*\" localhost:8765; do sleep 0.2; done'")
        sent = workspace.run("no_proxy='*' http --body --ignore-stdin --pretty none :8765/ name=you count:=3").stdout
        assert sent.strip() == '{"name": "you", "count": 3}'
        workspace.run("wget --no-proxy --quiet --output-document /tmp/got http://127.0.0.1:8765/file")
        assert workspace.run("cat /tmp/got").stdout == "downloaded"
    finally:
        workspace.run("kill $(cat /tmp/echo.pid)")


def test_shellcheck_finds_a_planted_fault_and_shfmt_formats(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/faulty.sh", "#!/bin/sh\nif [ -f $1 ]; then\necho yes\nfi\n")
    done = workspace.run("shellcheck /tmp/faulty.sh", check=False)
    assert done.returncode == 1
    assert "SC2086" in done.stdout
    formatted = workspace.run("shfmt --indent 2 /tmp/faulty.sh").stdout
    assert formatted == "#!/bin/sh\nif [ -f $1 ]; then\n  echo yes\nfi\n"


def test_processes_are_seen(workspace: RunningWorkspace) -> None:
    workspace.run("setsid sleep 98765 >/dev/null 2>&1 & echo $! >/tmp/sleep.pid")
    try:
        assert "98765" in workspace.run("procs --color disable --pager disable sleep").stdout
        for viewer, sign, search in (("htop", "Load average", "F4"), ("btop --utf-force", "Program:", "f")):
            terminal = Terminal(workspace, "viewer", "/workspace", f"'{viewer}'")
            try:
                terminal.wait_for(sign)
                # One after the other: what btop reads at once it takes for one key.
                for key in (search, *"98765", "Enter"):
                    terminal.keys(key)
                # Nothing else is left.
                terminal.wait_for(r"(?s)\A(?!.*runsvdir).*sleep 98765")
            finally:
                terminal.close()
    finally:
        workspace.run("kill $(cat /tmp/sleep.pid)")


def test_disk_use_is_seen(workspace: RunningWorkspace) -> None:
    workspace.run("mkdir -p ~/big && head -c 3000000 /dev/zero >~/big/zeros")
    assert re.search(r"2\.9M.*zeros", workspace.run("dust --no-colors --no-percent-bars ~/big").stdout)
    mounts = workspace.run("duf --json --all | jq --raw-output '.[].mount_point'").stdout.split()
    assert "/home/developer" in mounts


PROTO = """\
syntax = "proto3";
package demo;
import "google/protobuf/timestamp.proto";
message Question { string name = 1; }
message Answer { string text = 1; google.protobuf.Timestamp at = 2; }
service Greeter { rpc Greet(Question) returns (Answer); }
"""
GRPC_SERVER = """\
from concurrent import futures
import grpc
import demo_pb2

def greet(request, context):
    answer = demo_pb2.Answer(text="hello " + request.name)
    answer.at.FromSeconds(0)
    return answer

handler = grpc.unary_unary_rpc_method_handler(
    greet, demo_pb2.Question.FromString, demo_pb2.Answer.SerializeToString)
server = grpc.server(futures.ThreadPoolExecutor())
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("demo.Greeter", {"Greet": handler})])
server.add_insecure_port("127.0.0.1:8766")
server.start()
server.wait_for_termination()
"""


def test_grpcurl_calls_a_service_that_protoc_compiled(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/grpc/demo.proto", PROTO)
    workspace.write("/tmp/grpc/server.py", GRPC_SERVER)
    # protobuf's Python has to understand what Debian's protoc 3.21 writes.
    workspace.run(
        "python3 -m pip install --quiet --no-cache-dir --target libraries 'grpcio==1.*' 'protobuf<7'"
        " && protoc --python_out=. --include_imports --descriptor_set_out=demo.protoset demo.proto",
        workdir="/tmp/grpc",
    )
    call = (
        "export no_proxy='*';"
        ' grpcurl -plaintext -protoset demo.protoset -d \'{"name": "you"}\' 127.0.0.1:8766 demo.Greeter/Greet'
    )
    refused = workspace.run(call, check=False, workdir="/tmp/grpc")
    assert refused.returncode != 0
    assert 'Failed to dial target host "127.0.0.1:8766"' in refused.stderr
    workspace.run(
        "PYTHONPATH=libraries setsid python3 server.py >server.log 2>&1 & echo $! >server.pid", workdir="/tmp/grpc"
    )
    try:
        workspace.run(
            f"timeout {SECONDS} sh -c 'until bash -c \": </dev/tcp/127.0.0.1/8766\" 2>&-; do sleep 0.2; done'"
        )
        answer = workspace.run(call, workdir="/tmp/grpc").stdout
        assert "hello you" in answer
        assert "1970-01-01T00:00:00Z" in answer
    finally:
        workspace.run("kill $(cat server.pid)", workdir="/tmp/grpc")
    assert "rpc Greet" in workspace.run("grpcurl -proto demo.proto describe demo.Greeter", workdir="/tmp/grpc").stdout


WORKFLOW = """\
name: Build
on: push
jobs:
  compile:
    runs-on: ubuntu-latest
    steps:
      - run: echo "compiled by $GITHUB_JOB"
  test:
    needs: compile
    runs-on: ubuntu-latest
    steps:
      - run: echo tested
"""


def test_act_lists_the_jobs_of_a_workflow_and_runs_them(workspace: RunningWorkspace) -> None:
    workspace.write("/workspace/demo/.github/workflows/build.yml", WORKFLOW)
    listed = workspace.run("act --list", workdir="/workspace/demo").stdout
    assert re.search(r"^0 +compile +compile +Build", listed, re.MULTILINE)
    assert re.search(r"^1 +test +test +Build", listed, re.MULTILINE)
    # On the workspace itself: containers need the add-on docker.
    ran = workspace.run("act --platform ubuntu-latest=-self-hosted 2>&1", workdir="/workspace/demo").stdout
    assert "compiled by compile" in ran
    assert "tested" in ran
    workspace.run("rm -rf .github", workdir="/workspace/demo")


def test_editors_edit(workspace: RunningWorkspace) -> None:
    for editor, keys in (
        ("vim", ["ihello from vim", "Escape", ":wq", "Enter"]),
        ("nvim", ["ihello from nvim", "Escape", ":wq", "Enter"]),
        ("nano", ["hello from nano", "C-o", "Enter", "C-x"]),
    ):
        terminal = Terminal(workspace, "editor", "/tmp", f"'{editor} /tmp/by-{editor}.txt'")
        try:
            terminal.wait_for("GNU nano" if editor == "nano" else r"^ +1\b")
            terminal.keys(*keys)
            workspace.run(f"timeout {SECONDS} sh -c 'until grep -q hello /tmp/by-{editor}.txt; do sleep 0.2; done'")
        finally:
            terminal.close()
        assert workspace.run(f"cat /tmp/by-{editor}.txt").stdout == f"hello from {editor}\n"


def test_vims_files_of_the_person_have_the_last_word(workspace: RunningWorkspace) -> None:
    def number(command: str) -> str:
        ask = "redir! > /tmp/number | silent set number? | redir END"
        return workspace.run(f"{command} -c '{ask}' -c quit </dev/null >/dev/null 2>&1; cat /tmp/number").stdout.strip()

    try:
        for command in ("vim --not-a-term", "nvim --headless"):
            assert number(command) == "number"
        workspace.write("/home/developer/.vimrc", "set nonumber\n")
        workspace.write("/home/developer/.config/nvim/init.vim", "set nonumber\n")
        for command in ("vim --not-a-term", "nvim --headless"):
            assert number(command) == "nonumber"
    finally:
        workspace.run("rm -rf ~/.vimrc ~/.config/nvim")


ARCHIVES = {
    "zip": ("zip -qr a.zip data", "unzip -q a.zip -d out"),
    "7z": ("7z a -bd a.7z data", "7z x -bd -oout a.7z"),
    "tar.gz": ("tar -czf a.tgz data", "tar -xf a.tgz -C out"),
    "tar.bz2": ("tar -cjf a.tbz data", "tar -xf a.tbz -C out"),
    "tar.xz": ("tar -cJf a.txz data", "tar -xf a.txz -C out"),
    "tar.zst": ("tar --zstd -cf a.tzst data", "tar --zstd -xf a.tzst -C out"),
    "tar.lz4": ("tar -cf - data | lz4 -q - a.tlz4", "lz4 -qdc a.tlz4 | tar -xf - -C out"),
    "tar.br": ("tar -cf - data | brotli -o a.tbr", "brotli -dc a.tbr | tar -xf - -C out"),
    "cpio": ("find data | cpio --quiet -o >a.cpio", "(cd out && cpio --quiet -id <../a.cpio)"),
    "iso": ("bsdtar --format iso9660 -cf a.iso data", "bsdtar -xf a.iso -C out"),
}


@pytest.mark.parametrize("form", ARCHIVES)
def test_archives_are_packed_and_unpacked(workspace: RunningWorkspace, form: str) -> None:
    pack, unpack = ARCHIVES[form]
    workspace.run(
        f"rm -rf /tmp/pack && mkdir -p /tmp/pack/data /tmp/pack/out && cd /tmp/pack && seq 10000 >data/numbers"
        f" && {{ {pack}; }} >/dev/null && test $(cat a.* | wc -c) -gt 100 && {{ {unpack}; }} >/dev/null"
        " && cmp data/numbers out/data/numbers"
    )


def test_make_compiles_c_and_cpp(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/make/one.c", "int one(void) { return 1; }\n")
    workspace.write(
        "/tmp/make/main.cpp",
        '#include <iostream>\nextern "C" int one(void);\nint main() { std::cout << one() + 1 << std::endl; }\n',
    )
    workspace.write("/tmp/make/Makefile", "main: main.o one.o\n\t$(CXX) -o $@ $^\n")
    assert workspace.run("make --silent && ./main", workdir="/tmp/make").stdout == "2\n"
