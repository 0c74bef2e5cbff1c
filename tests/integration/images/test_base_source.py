# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the base comes from: the first registry that answers, with further tries, and Debian's archive after them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.engine


class Unavailable(http.server.BaseHTTPRequestHandler):
    """A registry that is too busy for anybody."""

    # So that an engine that comes with TLS is answered like HTTP, and comes again without.
    default_request_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(503)
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def busy() -> Iterator[tuple[str, list[str]]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unavailable)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}/debian", server.asked  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_next_reference_is_taken(maker: Any, module: Any, registry: Any, busy: tuple[str, list[str]]) -> None:
    reference, asked = busy
    maker.base_image["references"] = ["127.0.0.1:9/refused", reference, registry.reference]
    maker.base_image["retries"] = 1
    maker.layer("base", None, "RUN echo hello")
    result = module.run(maker.plan())
    assert result["base_source"]["reference"] == registry.reference, result
    log = next((module.state_dir / "logs").iterdir()).read_text()
    assert log.count("pulling 127.0.0.1:9/refused") == 2
    assert log.count(f"pulling {reference}") == 2
    assert asked
    assert log.count(f"pulling {registry.reference}") == 1


def test_an_unknown_digest_is_not_asked_for_again(maker: Any, module: Any, registry: Any, need: Any) -> None:
    maker.base_image["digest"] = "sha256:" + "0" * 64
    maker.base_image["retries"] = 3
    maker.base_image["archive"]["suite"] = f"{registry.repository}-none"
    maker.layer("base", None, "RUN echo hello")
    need("mmdebstrap", "mmdebstrap")
    result = module.run(maker.plan())
    assert "The Debian base cannot be made from Debian's archive" in result["msg"]
    assert f"{registry.reference}: " in result["msg"]
    assert next((module.state_dir / "logs").iterdir()).read_text().count("pulling ") == 1


def test_a_base_on_the_host_is_used_again(maker: Any, module: Any, registry: Any) -> None:
    maker.layer("base", None, "RUN echo hello")
    assert module.run(maker.plan())["changed"]
    maker.base_image["references"].insert(0, "127.0.0.1:9/refused")
    again = module.run(maker.plan(), rebuild=True)
    assert again["base_source"]["reference"] == registry.reference


def test_no_mmdebstrap(maker: Any, module: Any, need: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "docker").symlink_to(need("docker", "docker-cli"))
    maker.base_image["references"] = ["127.0.0.1:9/refused"]
    maker.layer("base", None, "RUN echo hello")
    plan = maker.plan()
    monkeypatch.setenv("PATH", str(binaries))
    message = module.run(plan)["msg"]
    assert "mmdebstrap is missing on this host" in message
    assert "127.0.0.1:9/refused: " in message


def test_the_archive_steps_in(maker: Any, module: Any, need: Any, client: Any, prefix: str) -> None:
    need("mmdebstrap", "mmdebstrap")
    maker.base_image["references"] = ["127.0.0.1:9/refused"]
    # A marked digest makes the name on the host the test's own.
    maker.base_image["digest"] = f"sha256:{prefix.encode().hex():0<64}"
    maker.base_image["archive"].update(suite="trixie", packages=["ca-certificates"])
    maker.layer("base", None, "RUN cat /etc/debian_version && ls /usr/bin/apt-get")
    result = module.run(maker.plan())
    log = next((module.state_dir / "logs").iterdir()).read_text()
    try:
        assert result.get("changed"), result
        assert result["base_source"]["kind"] == "archive"
        assert result["base_source"]["reference"] == "trixie"
        assert result["base_source"]["digest"].startswith("sha256:")
        labels = client.api.inspect_image(maker.image("base"))["Config"]["Labels"]
        assert labels["codeopen.base-source"] == "archive trixie"
        assert "base image: extracting archives" in log
        assert "no registry gave it; making it from Debian's archive" in log
    finally:
        for line in log.splitlines():
            if "importing it as" in line:
                client.api.remove_image(line.rpartition(" ")[2], force=True)
