# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""image_build through ansible-playbook on the real engine: what is built, why, and what is left alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine


def chain(maker: Any) -> None:
    """base, two flavors on it, and an add-on on one of them."""
    maker.layer("base", None, "COPY greeting /greeting\nRUN cat /greeting", files={"greeting": "hello"})
    maker.layer("one", "base", "ARG WORD\nRUN echo word is $WORD > /one", args={"WORD": "a b ${X} %{Y} $Z"})
    maker.layer("two", "base", "RUN cat /greeting > /two", environment={"QUOTED": 'a "b" $C \\d', "PATH": ["/x", "/y"]})
    maker.layer("one-more", "one", "RUN cat /one > /more")


def states(finished: Any) -> dict[str, str]:
    return {layer["target"]: layer["state"] for layer in finished.result["layers"]}


def reasons(finished: Any) -> dict[str, list[str]]:
    return {layer["target"]: layer["reasons"] for layer in finished.result["layers"] if layer["reasons"]}


def test_builds_everything_then_nothing_then_what_changed(
    maker: Any, playbook: Any, client: Any, registry: Any
) -> None:
    chain(maker)
    plan = maker.plan()
    foreseen = playbook.run(plan, check=True)
    assert foreseen.result["changed"]
    assert set(states(foreseen).values()) == {"build"}
    assert reasons(foreseen)["two"] == ["image is missing"]
    assert not client.images.list(maker.image("base"))

    first = playbook.run(plan)
    assert first.result["changed"], first.output
    assert set(states(first).values()) == {"built"}
    assert first.result["base_source"] == {
        "kind": "registry",
        "reference": registry.reference,
        "digest": registry.digest,
    }
    assert Path(first.result["log_path"]).read_text().splitlines()[-1] == "-- end of the log"
    config = client.api.inspect_image(maker.image("two"))["Config"]
    assert 'QUOTED=a "b" $C \\d' in config["Env"]
    assert next(entry for entry in config["Env"] if entry.startswith("PATH=")).startswith("PATH=/x:/y:")
    labels = client.api.inspect_image(maker.image("one-more"))["Config"]["Labels"]
    assert labels["codeopen.recipe"] == plan["layers"][3]["recipe"]
    assert labels["codeopen.component"] == "one-more"
    assert labels["codeopen.base-source"] == f"registry {registry.reference}"
    said = client.containers.run(maker.image("one-more"), ["/bin/cat", "/more"], remove=True)
    assert said == b"word is a b ${X} %{Y} $Z\n"

    again = playbook.run(plan)
    assert not again.result["changed"]
    assert set(states(again).values()) == {"up_to_date"}
    assert again.result["base_source"] == first.result["base_source"]
    assert not again.result["log_path"]

    maker.layers[1]["args"]["WORD"] = "other"
    changed = playbook.run(maker.plan(), check=True)
    assert states(changed) == {"base": "up_to_date", "one": "build", "two": "up_to_date", "one-more": "build"}
    assert reasons(changed) == {"one": ["argument WORD changed"], "one-more": ["parent one changed"]}
    assert "argument WORD changed" in changed.output
    second = playbook.run(maker.plan())
    assert states(second) == {"base": "up_to_date", "one": "built", "two": "up_to_date", "one-more": "built"}

    # Back to the first plan: the old images are still there, under no name.
    back = playbook.run(plan)
    assert states(back)["one"] in ("tagged", "built")
    assert (
        client.api.inspect_image(maker.image("one"))["Config"]["Labels"]["codeopen.recipe"]
        == plan["layers"][1]["recipe"]
    )


def test_stages_that_stand_on_the_base_are_built_with_it_in_one_solve(maker: Any, playbook: Any, client: Any) -> None:
    for target, parent in (("base", None), ("one", "base"), ("one-more", "one")):
        maker.layer(target, parent, f"RUN echo {target} >> /made-of")
        if parent:
            (maker.directory / target / "Dockerfile").write_text(
                "ARG BASE_IMAGE\nARG BUILD_IMAGE=${BASE_IMAGE}\n"
                "FROM ${BUILD_IMAGE} AS build\nRUN cp /made-of /compiled\n"
                f"FROM ${{BASE_IMAGE}}\nCOPY --from=build /compiled /compiled\nRUN echo {target} >> /made-of\n"
            )
    finished = playbook.run(maker.plan())
    assert set(states(finished).values()) == {"built"}, finished.output
    said = client.containers.run(maker.image("one-more"), ["/bin/cat", "/compiled", "/made-of"], remove=True)
    assert said.decode().split() == ["base", "base", "one", "one-more"]


def test_an_image_of_the_same_recipe_is_only_tagged(maker: Any, playbook: Any, client: Any) -> None:
    maker.layer("base", None, "RUN echo hello")
    playbook.run(maker.plan())
    client.api.tag(maker.image("base"), f"{maker.prefix}-kept", "1")
    client.api.remove_image(maker.image("base"))
    foreseen = playbook.run(maker.plan(), check=True)
    assert states(foreseen) == {"base": "tag"}
    assert not client.images.list(maker.image("base"))
    tagged = playbook.run(maker.plan())
    assert tagged.result["changed"]
    assert states(tagged) == {"base": "tagged"}
    assert states(playbook.run(maker.plan())) == {"base": "up_to_date"}


def test_only_the_images_asked_for_and_a_missing_parent(maker: Any, playbook: Any, client: Any) -> None:
    chain(maker)
    first = playbook.run(maker.plan("base"))
    assert states(first) == {"base": "built"}
    asked = playbook.run(maker.plan("base"), images=[maker.image("one-more")])
    assert states(asked) == {"base": "up_to_date", "one": "built", "one-more": "built"}
    assert not client.images.list(maker.image("two"))
    unknown = playbook.run(maker.plan(), images=[f"{maker.prefix}-on-more:1"])
    assert unknown.result["failed"]
    assert f"did you mean '{maker.image('one-more')}'" in unknown.result["msg"]


def test_rebuild(maker: Any, playbook: Any, client: Any) -> None:
    maker.layer("base", None, "RUN cat /proc/sys/kernel/random/uuid > /id")
    playbook.run(maker.plan())
    before = client.api.inspect_image(maker.image("base"))["Id"]
    again = playbook.run(maker.plan(), rebuild=True)
    assert reasons(again) == {"base": ["rebuild was asked for"]}
    assert client.api.inspect_image(maker.image("base"))["Id"] != before


def test_progress_is_shown_while_it_runs(maker: Any, playbook: Any) -> None:
    maker.layer("base", None, "RUN echo first; sleep 3\nRUN sleep 3")
    maker.layer("one", "base", "RUN sleep 1")
    process = playbook.start(maker.plan())
    begun = time.monotonic()
    seen: list[tuple[float, str]] = [(time.monotonic() - begun, line) for line in process.stdout]
    assert process.wait() == 0
    end = seen[-1][0]
    step = next(moment for moment, line in seen if "base: step 1/" in line)
    text = "".join(line for moment, line in seen)
    # The first step's line must come while the second has yet to run.
    assert end - step > 3, text
    assert "[localhost] [00:" in text
    assert "base: layer finished in" in text
    assert "1 to go" in text
    assert "that was the last" in text
    # What the steps print is in the log only.
    assert "base| first" not in text
    assert "base| first" in Path(next((playbook.state_dir / "logs").iterdir())).read_text()


def test_network_secret_reaches_the_steps_and_nothing_else(
    maker: Any, playbook: Any, client: Any, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("# comment\n-----BEGIN CERTIFICATE-----\nMARKOFTHEBUNDLE\n-----END CERTIFICATE-----\n")
    maker.layer(
        "base",
        None,
        "RUN --mount=type=secret,id=network cat /run/secrets/network\n"
        "RUN --mount=type=secret,id=network test -s /run/secrets/network && echo seen > /seen",
    )
    network = {"https_proxy": "http://someone:s3cretw0rd@127.0.0.1:9", "ca_bundle": str(bundle)}
    built = playbook.run(maker.plan(), network=network)
    assert built.result["changed"], built.output
    log = Path(built.result["log_path"]).read_text()
    assert "https_proxy=http://********@127.0.0.1:9" in log
    assert "MARKOFTHEBUNDLE" in log
    history = str(client.api.history(maker.image("base"))) + str(client.api.inspect_image(maker.image("base")))
    for text in (log, built.output, history):
        assert "s3cretw0rd" not in text
    assert client.containers.run(maker.image("base"), ["/bin/cat", "/seen"], remove=True) == b"seen\n"
    missing = playbook.run(maker.plan(), network={"ca_bundle": str(tmp_path / "none.pem")})
    assert missing.result["failed"]
    assert str(tmp_path / "none.pem") in missing.result["msg"]


def test_the_remote_files_are_removed(maker: Any, playbook: Any) -> None:
    maker.layer("base", None, "RUN echo hello")
    playbook.run(maker.plan())
    left = [path for path in (playbook.directory / "tmp").rglob("*") if path.is_file()]
    assert not left
