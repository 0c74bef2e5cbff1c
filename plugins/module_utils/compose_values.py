# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short and long forms in which Compose files write values, as the Compose Specification has them. Pure.

What cannot be understood raises ``ValueError``, whose text is the reason in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# The Compose Specification, "Specifying byte values": all of these are binary.
_BYTES = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_POWERS = ("", "k", "m", "g", "t")
_VARIABLE = re.compile(r"\$(\{[^}]*\}?|[A-Za-z_][A-Za-z0-9_]*|.?)")
_ADDRESS = r"\[[0-9A-Fa-f:.]+\]|[0-9]+(?:\.[0-9]+){3}"
_PORT = re.compile(rf"(?:(?P<address>{_ADDRESS}):)?(?:(?P<host>[0-9]*):)?(?P<container>[0-9]+)")
_EVERYWHERE = "0.0.0.0"


@dataclass(frozen=True)
class Port:
    """A published port; ``host`` None is any free one."""

    container: int
    host: int | None
    address: str
    name: str = ""


@dataclass(frozen=True)
class Mount:
    """A volume or a directory of the host in a service.

    :ivar kind: volume, bind, tmpfs or another word of the specification.
    :ivar source: volume's key or directory; empty for a volume without a name.
    :ivar further: options that are neither of these, in words.
    """

    kind: str
    source: str
    target: str
    read_only: bool = False
    uid: Any = None
    further: tuple[str, ...] = ()


def escape(value: Any) -> Any:
    """A document in which Compose finds no variables: every ``$`` of a value is written as ``$$``."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: escape(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [escape(entry) for entry in value]
    return value


def unescape(value: Any) -> Any:
    """What Compose makes of a value without variables.

    :raises ValueError: it has a variable, whose value only Compose knows.
    """
    if isinstance(value, str):
        parts = value.split("$$")
        for part in parts:
            variable = _VARIABLE.search(part)
            if variable:
                raise ValueError(
                    f"the value of {variable.group(0)} is not in the file: import what 'docker compose config' prints"
                )
        return "$".join(parts)
    if isinstance(value, Mapping):
        return {key: unescape(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [unescape(entry) for entry in value]
    return value


def is_empty(value: Any) -> bool:
    """Whether a key says nothing with this value. 0 says something, though it is equal to False."""
    return value is False or value is None or value in ("", [], {})


def as_list(value: Any) -> list[Any]:
    """A list, where one is due."""
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise ValueError(f"expected a list, got {value!r}")
    return list(value)


def as_mapping(value: Any) -> dict[str, Any]:
    """A mapping, where one is due; nothing is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping, got {value!r}")
    return {str(key): entry for key, entry in value.items()}


def as_named(value: Any) -> dict[str, dict[str, Any]]:
    """A mapping of names to options, or a list of names."""
    if isinstance(value, Mapping):
        return {str(name): as_mapping(options) for name, options in value.items()}
    return {str(name): {} for name in as_list(value)}


def as_whole(value: Any) -> int:
    """A whole number, or one as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value.strip()):
        return int(value)
    raise ValueError(f"expected a whole number, got {value!r}")


def as_cpus(value: Any) -> float:
    """A number of CPUs; 0 is no limit."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            cpus = float(value)
        except ValueError:
            cpus = -1.0
        if 0 <= cpus < 100000:
            return cpus
    raise ValueError(f"expected a number of CPUs, got {value!r}")


def as_bytes(value: Any) -> int:
    """Bytes of ``2gb``, ``512m`` or a number; -1 is left as it is, for no limit."""
    text = str(value).strip()
    found = _BYTES.fullmatch(text) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if found:
        return int(Decimal(found.group(1)) * 1024 ** _POWERS.index(found.group(2).lower()))
    if text == "-1":
        return -1
    raise ValueError(f"expected a size such as 512m or 2g, got {value!r}")


def as_log_bytes(value: Any) -> int:
    """Bytes of the option ``max-size`` of logs, whose units are decimal ones, unlike all others."""
    found = _BYTES.fullmatch(str(value).strip())
    if not found:
        raise ValueError(f"expected a size such as 10m, got {value!r}")
    return int(Decimal(found.group(1)) * 1000 ** _POWERS.index(found.group(2).lower()))


def as_flag(value: Any) -> bool:
    """True or false, also as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"expected true or false, got {value!r}")


def as_pairs(value: Any) -> dict[str, str | None]:
    """A mapping, or a list of ``NAME=value``; None where the value comes from elsewhere."""
    if isinstance(value, Mapping):
        return {str(key): None if entry is None else _scalar(entry) for key, entry in value.items()}
    pairs: dict[str, str | None] = {}
    for item in as_list(value):
        key, sign, text = str(item).partition("=")
        pairs[key] = text if sign else None
    return pairs


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_port(value: Any) -> Port:
    """A published port in either form."""
    if isinstance(value, Mapping):
        return _long_port(as_mapping(value))
    text, slash, protocol = str(value).partition("/")
    _check_protocol(protocol if slash else "tcp")
    if "-" in text:
        raise ValueError("a range of ports: write each of them")
    found = _PORT.fullmatch(text)
    if not found:
        raise ValueError(f"expected a port such as 127.0.0.1:8080:80, got {value!r}")
    host = int(found.group("host")) if found.group("host") else None
    return _checked(Port(int(found.group("container")), host, (found.group("address") or _EVERYWHERE).strip("[]")))


def _long_port(fields: Mapping[str, Any]) -> Port:
    _check_protocol(str(fields.get("protocol") or "tcp"))
    published = fields.get("published")
    if "-" in str(published or ""):
        raise ValueError("a range of ports: write each of them")
    host = None if published in (None, "", 0, "0") else as_whole(published)
    address = str(fields.get("host_ip") or _EVERYWHERE).strip("[]")
    return _checked(Port(as_whole(fields.get("target")), host, address, str(fields.get("name") or "")))


def _check_protocol(protocol: str) -> None:
    if protocol.lower() != "tcp":
        raise ValueError(f"the protocol is {protocol}, and workspaces publish tcp only")


def _checked(port: Port) -> Port:
    for number in (port.container, port.host):
        if number is not None and not 1 <= number <= 65535:
            raise ValueError(f"{number} is no port: expected 1 to 65535")
    return port


def as_mount(value: Any) -> Mount:
    """A volume or directory in either form."""
    if isinstance(value, Mapping):
        return _long_mount(as_mapping(value))
    source, colon, rest = str(value).partition(":")
    if not colon:
        return Mount("volume", "", source)
    target, colon, words = rest.partition(":")
    options = [word for word in words.split(",") if word and word != "rw"]
    further = tuple(word for word in options if word != "ro")
    kind = "bind" if source.startswith(("/", ".", "~")) else "volume"
    return Mount(kind, source, target, "ro" in options, None, further)


def _long_mount(fields: Mapping[str, Any]) -> Mount:
    kind = str(fields.get("type") or "volume")
    # Whether the directory is made where it is missing: workspaces get only those that are there.
    usual = {"bind": ("create_host_path",), "volume": ()}.get(kind, ())
    options = {
        key: entry for key, entry in as_mapping(fields.get(kind)).items() if key not in usual and entry is not False
    }
    further = [f"{kind}.{key}" for key in options]
    further += [
        key
        for key in fields
        if key not in ("type", "source", "target", "read_only", kind) and not key.startswith("x-") and fields[key]
    ]
    return Mount(
        kind,
        str(fields.get("source") or ""),
        str(fields.get("target") or ""),
        as_flag(fields.get("read_only") or False),
        fields.get("x-codeopen-uid"),
        tuple(further),
    )


def format_bytes(size: int) -> str:
    """Bytes in the largest binary unit that they are a whole number of."""
    power = 0
    while size and size % 1024 == 0 and power < len(_POWERS) - 1:
        size, power = size // 1024, power + 1
    return f"{size}{_POWERS[power] or 'b'}"
