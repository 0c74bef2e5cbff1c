# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``dockerd --validate`` lets pass and the engine or its containers then stumble over. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional
from urllib.parse import urlsplit

from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config import Path, dotted, type_name
from ansible_collections.codeopen.workspaces.plugins.module_utils.daemon_config_keys import TYPES
from ansible_collections.codeopen.workspaces.plugins.module_utils.suggest import nearest

_CACHE = {"cache-compress", "cache-disabled", "cache-max-file", "cache-max-size"}
_COMMON_LOG_OPTIONS = _CACHE | {"max-buffer-size", "mode"}
_ATTRIBUTES = {"env", "env-regex", "labels", "labels-regex", "tag"}
_LOG_OPTIONS = {
    "json-file": _COMMON_LOG_OPTIONS | _ATTRIBUTES | {"compress", "max-file", "max-size"},
    "local": _COMMON_LOG_OPTIONS | _ATTRIBUTES | {"compress", "max-file", "max-size"},
    "journald": _COMMON_LOG_OPTIONS | _ATTRIBUTES,
    "none": _COMMON_LOG_OPTIONS,
}
_SIZE = re.compile(r"^\d+(\.\d+)? ?[kmgtp]?i?b?$", re.IGNORECASE)
_LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True)
class Finding:
    """One mistake.

    :param path: the key it is about.
    """

    path: Path
    text: str


def check(config: Mapping[str, Any], which: Callable[[str], Optional[str]]) -> list[Finding]:
    """All mistakes in a whole configuration.

    :param which: answers the path of a program as the engine would find it, or None.
    """
    findings = _types(config)
    wrong = {finding.path[0] for finding in findings}
    sound = {key: value for key, value in config.items() if key not in wrong}
    return [
        *findings,
        *_log_options(sound),
        *_runtimes(sound, which),
        *_addresses(sound),
        *_registries(sound),
        *_single_values(sound, which),
    ]


def unknown_keys(config: Mapping[str, Any]) -> list[Finding]:
    """Keys that no engine known here has. Only a hint: a newer engine may have them."""
    findings = []
    for key in config:
        if key not in TYPES:
            guess = nearest(key, TYPES)
            hint = f"; did you mean '{guess}'?" if guess else ""
            findings.append(Finding((key,), f"{key} is not a key that is known here{hint}"))
    return findings


def _types(config: Mapping[str, Any]) -> list[Finding]:
    findings = []
    for key, value in config.items():
        expected = TYPES.get(key)
        if expected is None or value is None:
            continue
        found = type_name(value)
        if found not in expected.split(" or ") and found != expected:
            findings.append(Finding((key,), f"{key} is {found}, expected {expected}"))
    return findings


def _log_options(config: Mapping[str, Any]) -> list[Finding]:
    options = config.get("log-opts") or {}
    driver = config.get("log-driver") or "json-file"
    known = _LOG_OPTIONS.get(driver)
    findings = []
    for name, value in options.items():
        path = ("log-opts", name)
        where = dotted(path)
        if not isinstance(value, str):
            written = {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
            findings.append(Finding(path, f'{where} is {type_name(value)}, expected a text, as in "{written}"'))
        elif known is not None and name not in known:
            guess = nearest(name, known)
            hint = f"; did you mean '{guess}'?" if guess else ""
            findings.append(Finding(path, f"{where} is not an option of the log driver {driver}{hint}"))
        elif name in ("max-size", "max-buffer-size") and not (value == "-1" or _SIZE.match(value)):
            findings.append(Finding(path, f"{where} is '{value}', expected a size, as in 10m"))
        elif name == "max-file" and not (value.isdecimal() and int(value) >= 1):
            findings.append(Finding(path, f"{where} is '{value}', expected a whole number of at least 1"))
        elif name == "compress" and value not in ("true", "false"):
            findings.append(Finding(path, f"{where} is '{value}', expected true or false"))
        elif name == "mode" and value not in ("blocking", "non-blocking"):
            findings.append(Finding(path, f"{where} is '{value}', expected blocking or non-blocking"))
    if not findings and driver == "json-file" and options.get("compress") == "true":
        findings += _compression(options)
    if not findings and "max-buffer-size" in options and options.get("mode") != "non-blocking":
        findings.append(Finding(("log-opts", "max-buffer-size"), "log-opts.max-buffer-size needs mode non-blocking"))
    return findings


def _compression(options: Mapping[str, Any]) -> list[Finding]:
    if int(options.get("max-file", "1")) >= 2 and "max-size" in options:
        return []
    return [Finding(("log-opts", "compress"), "log-opts.compress needs max-size and a max-file of at least 2")]


def _runtimes(config: Mapping[str, Any], which: Callable[[str], Optional[str]]) -> list[Finding]:
    runtimes = config.get("runtimes") or {}
    findings = []
    for name, runtime in runtimes.items():
        path = ("runtimes", name)
        where = dotted(path)
        if not isinstance(runtime, Mapping):
            text = f"{where} is {type_name(runtime)}, expected an object with path or runtimeType"
            findings.append(Finding(path, text))
            continue
        program, kind = runtime.get("path"), runtime.get("runtimeType")
        if program and kind:
            findings.append(Finding(path, f"{where} has path and runtimeType, expected one of them"))
        elif not program and not kind:
            findings.append(Finding(path, f"{where} has neither path nor runtimeType, expected one of them"))
        elif program and not isinstance(program, str):
            findings.append(Finding((*path, "path"), f"{where}.path is {type_name(program)}, expected a text"))
        elif program and which(program) is None:
            findings.append(
                Finding((*path, "path"), f"{where}.path is '{program}', and the host has no such program to run")
            )
        if not isinstance(runtime.get("runtimeArgs", []), list):
            found = type_name(runtime["runtimeArgs"])
            findings.append(Finding((*path, "runtimeArgs"), f"{where}.runtimeArgs is {found}, expected a list"))
    default = config.get("default-runtime")
    if default and default != "runc" and default not in runtimes and not default.startswith("io.containerd."):
        known = ", ".join(sorted({"runc", *runtimes}))
        findings.append(
            Finding(("default-runtime",), f"default-runtime is '{default}', which is not in runtimes (known: {known})")
        )
    return findings


def _addresses(config: Mapping[str, Any]) -> list[Finding]:
    findings = []
    for key in ("bip", "fixed-cidr", "fixed-cidr-v6"):
        problem = _network_problem(config.get(key))
        if problem:
            findings.append(Finding((key,), f"{key} is '{config[key]}', expected {problem}"))
    if config.get("bip") and config.get("bridge"):
        findings.append(Finding(("bip",), "bip and bridge exclude each other"))
    for number, pool in enumerate(config.get("default-address-pools") or []):
        findings += _pool(f"default-address-pools[{number}]", pool)
    for number, address in enumerate(config.get("dns") or []):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            findings.append(Finding(("dns",), f"dns[{number}] is '{address}', expected an IP address"))
    return findings


def _pool(where: str, pool: Any) -> list[Finding]:
    path = ("default-address-pools",)
    if not isinstance(pool, Mapping) or "base" not in pool or "size" not in pool:
        return [Finding(path, f"{where} needs base and size, as in {{base: 10.200.0.0/16, size: 24}}")]
    problem = _network_problem(pool["base"])
    if problem:
        return [Finding(path, f"{where}.base is '{pool['base']}', expected {problem}")]
    network = ipaddress.ip_network(pool["base"], strict=False)
    size = pool["size"]
    if isinstance(size, bool) or not isinstance(size, int) or not network.prefixlen <= size <= network.max_prefixlen:
        limits = f"{network.prefixlen} to {network.max_prefixlen}"
        return [Finding(path, f"{where}.size is {size}, expected {limits} for {pool['base']}")]
    return []


def _network_problem(value: Any) -> str:
    if not value:
        return ""
    try:
        ipaddress.ip_interface(value)
    except (ValueError, TypeError):
        return "an address with its prefix, as in 10.200.0.1/24"
    return "" if "/" in str(value) else "an address with its prefix, as in 10.200.0.1/24"


def _registries(config: Mapping[str, Any]) -> list[Finding]:
    findings = []
    for number, mirror in enumerate(config.get("registry-mirrors") or []):
        parts = urlsplit(mirror) if isinstance(mirror, str) else None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            text = f"registry-mirrors[{number}] is '{mirror}', expected http:// or https:// and a host, without a path"
            findings.append(Finding(("registry-mirrors",), text))
    for number, registry in enumerate(config.get("insecure-registries") or []):
        if not isinstance(registry, str) or "://" in registry:
            text = f"insecure-registries[{number}] is '{registry}', expected a host or a network without http://"
            findings.append(Finding(("insecure-registries",), text))
    return findings


def _single_values(config: Mapping[str, Any], which: Callable[[str], Optional[str]]) -> list[Finding]:
    findings = []
    for key in ("data-root", "exec-root"):
        value = config.get(key)
        if value and not value.startswith("/"):
            findings.append(Finding((key,), f"{key} is '{value}', expected an absolute path"))
    level = config.get("log-level")
    if level and level not in _LOG_LEVELS:
        findings.append(Finding(("log-level",), f"log-level is '{level}', expected one of {', '.join(_LOG_LEVELS)}"))
    for key in ("userland-proxy-path", "init-path"):
        value = config.get(key)
        if value and which(value) is None:
            findings.append(Finding((key,), f"{key} is '{value}', and the host has no such program to run"))
    for number, label in enumerate(config.get("labels") or []):
        if not isinstance(label, str) or "=" not in label:
            findings.append(Finding(("labels",), f"labels[{number}] is '{label}', expected name=value"))
    return findings
