# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on kubernetes: a chart, an image's layers, and clients that talk to a stand-in for a cluster's API."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator

import kubernetes_stand_in
import pytest
from ansible_collections.codeopen.workspaces.plugins.plugin_utils.catalogue_files import find_catalogue
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

# Opens a tool on a terminal of its own, waits until it shows the words, types, and says how the tool ended.
ON_A_TERMINAL = """
import fcntl, os, pty, struct, sys, termios, threading
command, words, keys = sys.argv[1], sys.argv[2].encode(), sys.argv[3].encode().decode("unicode_escape").encode()
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm-256color"
    os.execvp("bash", ["bash", "-c", "sleep 1; exec " + command])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
guard = threading.Timer(240, os.kill, (child, 9))
guard.start()
seen, typed = b"", False
while True:
    try:
        more = os.read(terminal, 65536)
    except OSError:
        break
    if not more:
        break
    seen += more
    if words in seen and not typed:
        typed = True
        os.write(terminal, keys)
guard.cancel()
print("seen" if typed else seen.decode(errors="replace")[-3000:])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    with running_workspace(image_of("kubernetes"), tmp_path_factory.mktemp("secrets")) as workspace:
        kubernetes_stand_in.start_in(workspace)
        yield workspace


def test_kubectl_makes_lists_and_deletes_a_pod(workspace: RunningWorkspace) -> None:
    assert workspace.run("kubectl get pods -o name").stdout.split() == ["pod/web-1", "pod/worker-1"]
    workspace.run("kubectl run batch-1 --image shop:1")
    assert "batch-1" in workspace.run("kubectl get pods").stdout
    assert workspace.run("kubectl logs batch-1").stdout == kubernetes_stand_in.LOG
    workspace.run("kubectl delete pod batch-1 --wait=false")
    done = workspace.run("kubectl get pod batch-1", check=False)
    assert done.returncode != 0
    assert "NotFound" in done.stderr


def test_stern_shows_the_logs_of_the_pods_that_match(workspace: RunningWorkspace) -> None:
    done = workspace.run("stern --no-follow --color never web")
    assert f"web-1 main {kubernetes_stand_in.LOG}" in done.stdout
    assert "worker-1" not in done.stdout


def test_k9s_shows_the_pods_on_a_terminal(workspace: RunningWorkspace) -> None:
    workspace.write("/tmp/on_a_terminal.py", ON_A_TERMINAL)
    done = workspace.run("python3 /tmp/on_a_terminal.py 'k9s --command pods --namespace shop' worker-1 ':quit\\r'")
    assert done.stdout.strip() == "seen"


def test_helm_makes_checks_renders_and_packs_a_chart(workspace: RunningWorkspace) -> None:
    workspace.run("cd ~ && helm create shop")
    assert "0 chart(s) failed" in workspace.run("helm lint ~/shop").stdout
    rendered = workspace.run("helm template spring ~/shop --set replicaCount=3").stdout
    assert "kind: Deployment" in rendered
    assert "replicas: 3" in rendered
    assert "shop-0.1.0.tgz" in workspace.run("helm package ~/shop --destination /tmp").stdout
    assert "name: shop" in workspace.run("helm show chart /tmp/shop-0.1.0.tgz").stdout


def test_helm_lint_finds_a_planted_mistake(workspace: RunningWorkspace) -> None:
    workspace.run("cd ~ && helm create broken && echo '{{ .Values.missing.name }}' >>broken/templates/service.yaml")
    done = workspace.run("helm lint ~/broken", check=False)
    assert done.returncode != 0
    assert "templates/service.yaml" in done.stdout + done.stderr


def test_helm_assumes_the_kubernetes_that_it_is_made_for(workspace: RunningWorkspace) -> None:
    locked = find_catalogue().addons["kubernetes"].path + "/tools/helm/go.mod"
    with open(locked, encoding="utf-8") as file:
        minor = re.findall(r"k8s\.io/client-go v0\.(\d+)\.", file.read())
    workspace.write("/home/developer/asks/Chart.yaml", "apiVersion: v2\nname: asks\nversion: 0.1.0\n")
    workspace.write("/home/developer/asks/templates/it.yaml", "version: {{ .Capabilities.KubeVersion.Minor }}\n")
    assert f"version: {minor[0]}\n" in workspace.run("helm template ~/asks").stdout


def layer(files: dict[str, int]) -> bytes:
    """A layer with files of these sizes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, size in files.items():
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(bytes(size)))
    return stream.getvalue()


def image_archive(layers: list[bytes]) -> bytes:
    """An image as ``docker save`` writes it."""
    stream = io.BytesIO()
    history = [{"created": "2025-01-01T00:00:00Z", "created_by": f"layer {number}"} for number in range(len(layers))]
    digests = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in layers]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": digests}}
    names = [f"layer-{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["shop:1"], "Layers": names}]
    contents = dict(zip(names, layers))
    contents["config.json"] = json.dumps({**config, "history": history}).encode()
    contents["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("second", "code", "said"),
    [({"other": 1000}, 0, "PASS"), ({"big": 900_000}, 1, "FAIL")],
    ids=["tidy", "wasteful"],
)
def test_dive_judges_the_layers_of_an_image(
    workspace: RunningWorkspace, tmp_path: object, second: dict[str, int], code: int, said: str
) -> None:
    archive = f"{tmp_path}/image.tar"
    with open(archive, "wb") as file:
        file.write(image_archive([layer({"big": 900_000}), layer(second)]))
    docker("cp", archive, f"{workspace.name}:/tmp/image.tar")
    done = workspace.run("dive --source docker-archive --ci /tmp/image.tar", check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"Result:{said}" in done.stdout


def test_dive_names_the_engine_that_is_not_there(workspace: RunningWorkspace) -> None:
    done = workspace.run("dive --ci shop:1", check=False)
    assert done.returncode != 0
    assert "docker" in (done.stdout + done.stderr).lower()
