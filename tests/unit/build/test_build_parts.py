# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure parts of the build: definition, states, retries, the log's secrets, archives."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.codeopen.workspaces.plugins.module_utils import bake, context_archive, layer_states, retry
from ansible_collections.codeopen.workspaces.plugins.module_utils.build_log import Redactor, disk_error, new_log_path
from ansible_collections.codeopen.workspaces.plugins.module_utils.errors import BuildError
from ansible_collections.codeopen.workspaces.plugins.module_utils.layer_states import HostImage
from hypothesis import given
from hypothesis import strategies as st


def layer(target: str, parent: str | None, recipe: str = "r", **inputs: str) -> dict[str, Any]:
    return {
        "target": target,
        "image": f"shop-{target}:1",
        "component": target,
        "parent": parent,
        "context": f"/images/{target}",
        "files": {"Dockerfile": {"mode": "0644", "sha256": "0"}},
        "args": {"WORD": "${X}"},
        "environment": {},
        "labels": {"title": "100 %{x}"},
        "recipe": recipe,
        "inputs": inputs or {"file Dockerfile": "1"},
    }


LAYERS = [layer("base", None, "b"), layer("one", "base", "o"), layer("one-more", "one", "m"), layer("two", "base", "t")]


def image(target: str, recipe: str, inputs: str = '{"file Dockerfile": "0"}', tag: str = "1") -> HostImage:
    labels = {"codeopen.recipe": recipe, "codeopen.inputs": inputs}
    return HostImage(f"id-{target}-{recipe}", (f"shop-{target}:{tag}",), labels)


def decided(wanted: list[str], *present: HostImage, rebuild: bool = False) -> dict[str, str]:
    return {state.layer["target"]: state.state for state in layer_states.decide(LAYERS, wanted, present, rebuild)}


@pytest.mark.parametrize(
    ("wanted", "present", "expected"),
    [
        (["one-more"], [], {"base": "build", "one": "build", "one-more": "build"}),
        (["one-more"], [image("one-more", "m")], {"one-more": "up_to_date"}),
        (["one-more"], [image("one", "o")], {"one": "up_to_date", "one-more": "build"}),
        (["one"], [image("one", "o", tag="0")], {"one": "tag"}),
        (["one"], [image("base", "b"), image("one", "x")], {"base": "up_to_date", "one": "build"}),
        (["base", "two"], [image("base", "b")], {"base": "up_to_date", "two": "build"}),
    ],
)
def test_what_is_to_be_done(wanted: list[str], present: list[HostImage], expected: dict[str, str]) -> None:
    assert decided(wanted, *present) == expected


def test_rebuild_takes_the_layers_below_too() -> None:
    everything = [image(entry["target"], entry["recipe"]) for entry in LAYERS]
    assert decided(["one"], *everything, rebuild=True) == {"base": "build", "one": "build"}


@pytest.mark.parametrize(
    ("inputs", "there", "expected"),
    [
        ({"file a": "1"}, None, ("image is missing",)),
        ({"file a": "1"}, "", ("image does not say what it was made of",)),
        ({"file a": "1"}, '{"file a": "2"}', ("file a changed",)),
        ({"file a": "1"}, '{"file b": "1"}', ("file a was added", "file b was removed")),
        ({"argument V": "1", "parent p": "2"}, '{"argument V": "0", "parent p": "0"}',
         ("argument V changed", "parent p changed")),
        ({"parent image": "1"}, '{"parent image": "0"}', ("the base image changed",)),
        ({"file a": "1"}, '{"file a": "1"}', ("the way recipes are reckoned changed",)),
    ],
)  # fmt: skip
def test_reasons(inputs: dict[str, str], there: str | None, expected: tuple[str, ...]) -> None:
    before = None if there is None else image("x", "x", there)
    assert layer_states.changes(inputs, before) == expected


def test_an_image_that_is_not_planned() -> None:
    plan = {"layers": LAYERS, "workspaces": [{"image": "shop-one:1"}, {"image": "", "state": "absent"}]}
    assert layer_states.wanted_targets(plan, None) == ["one"]
    with pytest.raises(BuildError, match="did you mean 'shop-two:1'"):
        layer_states.wanted_targets(plan, ["shop-tow:1"])


def test_the_difference_names_the_reasons() -> None:
    states = layer_states.decide(LAYERS, ["one"], [image("base", "b"), image("one", "x")])
    diff = layer_states.difference(states)
    assert diff["before"] == "shop-base:1: b\nshop-one:1: x\n"
    assert diff["after"] == "shop-base:1: b\nshop-one:1: o (built: file Dockerfile changed)\n"


def test_definition_links_targets_and_images() -> None:
    definition = bake.definition(
        LAYERS[1:3],
        {"base": "shop-base:1"},
        {"one": "FROM ${BASE_IMAGE}", "one-more": "FROM ${BASE_IMAGE}"},
        {"one": "one-1", "one-more": "more-1"},
        None,
        "network.secret",
        ["one"],
    )
    one, more = definition["target"]["one"], definition["target"]["one-more"]
    assert definition["group"]["default"]["targets"] == ["one", "one-more"]
    assert one["contexts"] == {"parent": "docker-image://shop-base:1"}
    assert more["contexts"] == {"parent": "target:one"}
    assert one["args"] == {"BASE_IMAGE": "parent", "WORD": "$${X}"}
    assert one["labels"]["title"] == "100 %%{x}"
    assert one["labels"]["codeopen.inputs"] == '{"file Dockerfile":"1"}'
    assert "codeopen.base-source" not in one["labels"]
    assert one["secret"] == ["id=network,src=network.secret"]
    assert one["no-cache"] is True
    assert "no-cache" not in more
    with pytest.raises(BuildError, match="no base image"):
        bake.definition(LAYERS[:1], {}, {"base": ""}, {"base": ""}, None, None)


COMPILED = "ARG BASE_IMAGE\nARG BUILD_IMAGE=${BASE_IMAGE}\nFROM ${BUILD_IMAGE} AS build\nFROM ${BASE_IMAGE}\n"


@pytest.mark.parametrize(
    ("building", "images", "linked"),
    [
        (1, {"base": "shop-base:1", "one": "shop-one:1"}, "docker-image://shop-base:1"),
        (1, {"one": "shop-one:1"}, None),
        (3, {}, "target:base"),
    ],
)
def test_what_is_compiled_stands_on_the_base_of_every_flavor(
    building: int, images: dict[str, str], linked: str | None
) -> None:
    layers = LAYERS[:3][-building:]
    texts = {layer["target"]: COMPILED for layer in layers}
    base = {"image": "debian", "source": "archive trixie"}
    definition = bake.definition(layers, images, texts, dict.fromkeys(texts, "."), base, None)
    more = definition["target"][layers[-1]["target"]]
    assert more["contexts"].get("codeopen-build-base") == linked
    assert more["args"].get("BUILD_IMAGE") == (linked and "codeopen-build-base")
    # One target twice among a target's contexts is more than bake resolves.
    for entry in definition["target"].values():
        assert len(set(entry["contexts"].values())) == len(entry["contexts"])


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PATH": ["/a", "/b"]}, ['ENV PATH="/a:/b:${PATH}"']),
        ({"B": 'say "$X" \\n', "A": 1}, ['ENV A="1"', 'ENV B="say \\"\\$X\\" \\\\n"']),
    ],
)
def test_environment(environment: dict[str, Any], expected: list[str]) -> None:
    assert bake.environment_lines(environment) == expected


def test_environment_refuses_line_breaks() -> None:
    with pytest.raises(BuildError, match=r"environment A: .* line break"):
        bake.environment_lines({"A": "a\nb"})


@given(st.text())
def test_escaped_text_has_no_template_left(text: str) -> None:
    escaped = bake.escaped(text)
    assert escaped.replace("$${", "${").replace("%%{", "%{") == text.replace("$${", "${").replace("%%{", "%{")
    assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", escaped)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("dial tcp 127.0.0.1:9: connect: connection refused", True),
        ("net/http: TLS handshake timeout", True),
        ("received unexpected HTTP status: 503 Service Unavailable", True),
        ("toomanyrequests: You have reached your pull rate limit", True),
        ("error from registry: unexpected status code 429", True),
        ("read: connection reset by peer", True),
        ("manifest for debian@sha256:5035 not found: manifest unknown", False),
        ("unauthorized: authentication required", False),
        ("dial tcp: lookup registry.invalid: no such host", False),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", False),
        ("something else about sha256:429", False),
    ],
)
def test_temporary_errors(message: str, expected: bool) -> None:
    assert retry.is_temporary(message) is expected


def test_backoff_grows_to_its_limit() -> None:
    assert list(retry.backoff(5, first=1, factor=3, longest=10)) == [1, 3, 9, 10, 10]
    assert list(retry.backoff(0)) == []


@pytest.mark.parametrize(("failures", "temporary", "tries"), [(2, True, 3), (9, True, 4), (1, False, 1), (0, True, 1)])
def test_retrying(failures: int, temporary: bool, tries: int) -> None:
    calls: list[int] = []
    slept: list[float] = []

    def operation() -> str:
        calls.append(1)
        if len(calls) <= failures:
            raise OSError("no")
        return "yes"

    def attempt() -> str:
        return retry.retrying(
            operation, retry.backoff(3), slept.append, lambda error: temporary, lambda error, pause: None
        )

    if failures < tries:
        assert attempt() == "yes"
    else:
        with pytest.raises(OSError, match="no"):
            attempt()
    assert len(calls) == tries
    assert slept == [1.0, 2.0, 4.0][: tries - 1]


def test_the_log_shows_no_password() -> None:
    redact = Redactor(["https_proxy=http://us%40er:p%40ssword@proxy:3128\npip_index=https://mirror/simple"])
    said = redact("proxy http://us%40er:p%40ssword@proxy:3128, decoded p@ssword, https://mirror/simple")
    assert said == "proxy http://********@proxy:3128, decoded ********, https://mirror/simple"


def test_log_names_and_disk_errors() -> None:
    assert new_log_path("/state", 1767608100.1234) == "/state/logs/build-20260105T101500.123Z.log"
    assert disk_error("all is lost", "/d") == "all is lost"
    assert "disk of /d" in disk_error("write: no space left on device", "/d")


def component(folder: Path, files: dict[str, str]) -> dict[str, Any]:
    entries = {}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        entries[path] = {"mode": "0755", "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return dict(layer("one", None), context=str(folder), files=entries)


def archived(*layers: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    context_archive.write_archive(layers, stream)
    return stream.getvalue()


def test_archive_is_the_same_each_time_and_unpacks(tmp_path: Path) -> None:
    one = component(tmp_path / "one", {"Dockerfile": "FROM x", "rootfs/etc/a/b": "b"})
    first = archived(one)
    (tmp_path / "one" / "rootfs" / "etc").touch()
    (tmp_path / "one" / "Dockerfile").chmod(0o600)
    # Two layers of one component share their folder.
    assert archived(one, dict(one, target="other")) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        entries = archive.getmembers()
    assert {(entry.mtime, entry.uid, entry.gid, entry.mode) for entry in entries} == {(0, 0, 0, 0o755)}
    (tmp_path / "a.tar").write_bytes(first)
    context_archive.unpack_archive(str(tmp_path / "a.tar"), str(tmp_path / "out"))
    unpacked = tmp_path / "out" / context_archive.folder_name(one) / "rootfs" / "etc" / "a" / "b"
    assert unpacked.read_text() == "b"
    assert unpacked.stat().st_mode & 0o777 == 0o755


def test_archive_names_every_file_that_is_not_as_planned(tmp_path: Path) -> None:
    one = component(tmp_path / "one", {"Dockerfile": "FROM x", "a": "a"})
    (tmp_path / "one" / "Dockerfile").write_text("FROM y")
    (tmp_path / "one" / "a").unlink()
    with pytest.raises(BuildError) as caught:
        archived(one)
    assert f"{tmp_path}/one/Dockerfile has changed" in str(caught.value)
    assert f"{tmp_path}/one/a: No such file" in str(caught.value)


def test_missing_dockerfiles_are_named(tmp_path: Path) -> None:
    context_archive.require_dockerfiles([component(tmp_path / "one", {"Dockerfile": "FROM x"})])
    with pytest.raises(BuildError, match=f"component one: {tmp_path}/two/Dockerfile is missing"):
        context_archive.require_dockerfiles([component(tmp_path / "two", {"a": "a"})])


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_archive_stays_in_its_directory(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(BuildError, match="does not belong"):
        context_archive.unpack_archive(str(tmp_path / "a.tar"), str(tmp_path / "out"))
