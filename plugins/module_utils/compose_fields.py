# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a Compose file, each taken once; what nobody takes cannot be carried over. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.codeopen.workspaces.plugins.module_utils import compose_values as values
from ansible_collections.codeopen.workspaces.plugins.module_utils.compose_keys import reason

# Keys whose entries are looked at one by one, outer ones first.
_NESTED = (
    "deploy",
    "deploy.resources",
    "deploy.resources.limits",
    "deploy.resources.reservations",
    "logging",
    "logging.options",
    "ulimits",
)
_PAIRS = ("labels", "environment")


class Losses:
    """What could not be carried over, in the order in which it was found."""

    def __init__(self) -> None:
        self.items: list[dict[str, str]] = []

    def add(self, service: str, key: str, why: str) -> None:
        """Note one key of a service, or of the whole file where the service is empty."""
        self.items.append({"service": service, "key": key, "why": why})


class Fields:
    """What a service says, by key; keys of nested mappings are joined by dots."""

    def __init__(self, service: str, content: Mapping[str, Any], losses: Losses) -> None:
        self.service = service
        self.losses = losses
        self._left = {str(key): value for key, value in content.items()}
        for key in _NESTED:
            self._spread(key, values.as_mapping)
        for key in _PAIRS:
            self._spread(key, values.as_pairs)
        self._spread("depends_on", values.as_named)

    def lose(self, key: str, why: str) -> None:
        """Note that a key, or a part of its value, is not carried over."""
        self.losses.add(self.service, key, why)

    def take(self, key: str, convert: Callable[[Any], Any] | None = None) -> Any:
        """The value of a key, without variables; None where there is none, or none that can be understood."""
        value = self._left.pop(key, None)
        if value in (None, "", [], {}):
            return None
        try:
            value = values.unescape(value)
            return convert(value) if convert else value
        except ValueError as error:
            self.lose(key, str(error))
            return None

    def take_list(self, key: str, convert: Callable[[Any], Any] | None = None) -> Iterator[tuple[str, Any]]:
        """The items of a list with their places, ``ports[0]`` say, without those that cannot be understood."""
        value = self._left.pop(key, None)
        try:
            items = values.as_list([] if values.is_empty(value) else value)
        except ValueError as error:
            self.lose(key, str(error))
            return
        for number, item in enumerate(items):
            place = f"{key}[{number}]"
            self._left[place] = item
            taken = self.take(place, convert)
            if taken is not None:
                yield place, taken

    def take_entries(self, key: str) -> Iterator[tuple[str, Any]]:
        """The entries of a nested key, names with raw values."""
        prefix = f"{key}."
        for name in [name for name in self._left if name.startswith(prefix)]:
            yield name[len(prefix) :], self._left.pop(name)

    def lose_rest(self) -> None:
        """Note every key that nobody took. Those that begin with ``x-`` mean nothing to Compose either."""
        for key in list(self._left):
            value = self._left.pop(key)
            if not key.startswith("x-") and not values.is_empty(value):
                self.lose(key, reason(key))

    def _spread(self, key: str, convert: Callable[[Any], Mapping[str, Any]]) -> None:
        value = self._left.pop(key, None)
        if value is None:
            return
        try:
            self._left.update({f"{key}.{name}": entry for name, entry in convert(value).items()})
        except ValueError as error:
            self.lose(key, str(error))
