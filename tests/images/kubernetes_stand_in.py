# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the API of a Kubernetes cluster: a namespace, and pods that can be listed, watched, made, deleted and
asked for their logs. Runs in the workspace itself, so that nothing but a client is needed there.

As a program: ``python3 kubernetes_stand_in.py PORT``.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PORT = 8001
SCRIPT = "/tmp/kubernetes_stand_in.py"
KUBECONFIG = f"""
apiVersion: v1
kind: Config
clusters: [{{name: stand-in, cluster: {{server: "http://127.0.0.1:{PORT}"}}}}]
users: [{{name: person, user: {{}}}}]
contexts: [{{name: stand-in, context: {{cluster: stand-in, user: person, namespace: shop}}}}]
current-context: stand-in
"""
LOG = "the shop is open\n"


def start_in(workspace: Any) -> None:
    """Start the stand-in in a workspace, and make its clients use it."""
    workspace.write(SCRIPT, Path(__file__).read_text(encoding="utf-8"))
    workspace.write("/home/developer/.kube/config", KUBECONFIG)
    workspace.run(
        f"chmod 600 ~/.kube/config; setsid python3 {SCRIPT} {PORT} >/tmp/stand-in.log 2>&1 & "
        f"timeout 60 bash -c 'until curl -fs --noproxy \"*\" http://127.0.0.1:{PORT}/version; do sleep 0.3; done'"
    )


def pod(name: str) -> dict[str, Any]:
    """A pod that runs."""
    since = "2025-01-01T00:00:00Z"
    container = {"name": "main", "image": "shop:1"}
    state = {
        **container, "ready": True, "restartCount": 0, "imageID": "", "containerID": f"containerd://{name}",
        "state": {"running": {"startedAt": since}},
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": since, "resourceVersion": "1",
        },
        "spec": {"containers": [container], "nodeName": "node-1"},
        "status": {"phase": "Running", "startTime": since, "containerStatuses": [state]},
    }  # fmt: skip


PODS = {"web-1": pod("web-1"), "worker-1": pod("worker-1")}
NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "shop", "uid": "uid-shop", "resourceVersion": "1"},
    "status": {"phase": "Active"},
}
VERBS = ["create", "delete", "get", "list", "watch"]
RESOURCES = [
    {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": VERBS, "shortNames": ["po"]},
    {"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]},
    {"name": "namespaces", "singularName": "namespace", "namespaced": False, "kind": "Namespace", "verbs": VERBS},
]


def listing(kind: str, items: list[Any]) -> dict[str, Any]:
    """A list as the API gives it."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"resourceVersion": "1"}, "items": items}


def found(path: str) -> Any:
    """What a GET answers with, or None."""
    fixed = {
        "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": RESOURCES},
        "/api/v1/namespaces": listing("NamespaceList", [NAMESPACE]),
        "/api/v1/namespaces/shop": NAMESPACE,
        "/api/v1/pods": listing("PodList", list(PODS.values())),
        "/api/v1/namespaces/shop/pods": listing("PodList", list(PODS.values())),
    }
    one = re.fullmatch("/api/v1/namespaces/shop/pods/([^/]+)", path)
    return PODS.get(one[1]) if one else fixed.get(path)


class Api(BaseHTTPRequestHandler):
    """The API's paths that clients of these tests ask for."""

    def do_GET(self) -> None:
        """Lists, single objects, watches and logs."""
        url = urlsplit(self.path)
        if parse_qs(url.query).get("watch", [""])[0] in ("1", "true"):
            self.watch(url.path)
        elif url.path.endswith("/log"):
            since = "2025-01-01T00:00:00Z " if "timestamps=true" in url.query else ""
            self.send(200, (since + LOG).encode(), "text/plain")
        else:
            self.answer(found(url.path))

    def do_POST(self) -> None:
        """Takes a new pod; says yes to whoever asks what is allowed."""
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlsplit(self.path).path
        if path.endswith("/pods"):
            name = json.loads(sent)["metadata"]["name"]
            PODS[name] = pod(name)
            self.answer(PODS[name], 201)
        else:
            # Some clients ask in Protocol Buffers, and all understand JSON.
            review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}}
            self.answer({**review, "status": {"allowed": True}}, 201)

    def do_DELETE(self) -> None:
        """Deletes a pod."""
        self.answer(PODS.pop(urlsplit(self.path).path.rpartition("/")[2], None))

    def watch(self, path: str) -> None:
        """Tells of everything that is there, and then of nothing more, for as long as the client stays."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        for item in (found(path) or {"items": []})["items"]:
            self.wfile.write(json.dumps({"type": "ADDED", "object": item}).encode() + b"\n")
        # Clients that watch instead of listing first wait for this.
        kind = "Namespace" if path.endswith("/namespaces") else "Pod"
        end = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
        bookmark = {"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": kind, "metadata": end}}
        self.wfile.write(json.dumps(bookmark).encode() + b"\n")
        self.wfile.flush()
        threading.Event().wait(600)

    def answer(self, content: Any, status: int = 200) -> None:
        """Sends an object, or the API's own 404."""
        if content is None:
            status = 404
            reason = "the server could not find the requested resource"
            content = {
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
                "message": reason,
            }  # fmt: skip
        self.send(status, json.dumps(content).encode(), "application/json")

    def send(self, status: int, content: bytes, kind: str) -> None:
        """Sends bytes."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
