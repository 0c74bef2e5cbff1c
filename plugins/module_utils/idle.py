# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a workspace has been idle, from looks at it. Pure.

A clock that jumps must not stop anybody's work, so nothing is reckoned by the time of day. The time between two looks
is measured by the monotonic clock of the kernel, which nobody sets, and which stands still while the machine sleeps;
it begins anew with each boot, so looks of different boots are never compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

# What a look says about the time before it, in seconds at most: connections come and go between two looks, so that
# few looks in many hours prove little.
LONGEST_GAP = 900.0
# Over a shorter time in seconds a health check alone would look like work.
SHORTEST_GAP = 60.0
UNKNOWN, RESTARTED = "it was not looked at before", "it was started since the last look"


@dataclass(frozen=True)
class Sample:
    """What one look sees of a workspace that runs.

    :ivar container: the container's id.
    :ivar started: when it was started, in the engine's words; another text means another start.
    :ivar boot: the kernel's id of its boot.
    :ivar moment: the monotonic clock, in seconds.
    :ivar cpu: seconds of CPU that it has used since it was started.
    """

    container: str
    started: str
    boot: str
    moment: float
    cpu: float


@dataclass(frozen=True)
class Look:
    """A sample with what is known since then.

    :ivar idle: seconds that the workspace had been idle.
    :ivar last_active: seconds since 1970 when it was last known to be in use; for people, nothing is reckoned by it.
    """

    sample: Sample
    idle: float
    last_active: float


@dataclass(frozen=True)
class Verdict:
    """What a look means.

    :ivar active_because: empty where it is idle.
    :ivar keep: whether the look is to be remembered. One that comes too soon after another is not, so that the next
        has a time to judge by.
    """

    idle: float
    active_because: str
    keep: bool = True


def judge(before: Optional[Look], sample: Sample, in_use: str, cpu_percent: float) -> Verdict:
    """Whether a workspace is idle, and for how long.

    :param before: the last look that was remembered.
    :param in_use: why it is in use at this moment; empty where nothing says so.
    :param cpu_percent: of one CPU, on average since ``before``; one that uses more is at work.
    """
    if in_use:
        return Verdict(0.0, in_use)
    if before is None:
        return Verdict(0.0, UNKNOWN)
    last = before.sample
    if (last.container, last.started) != (sample.container, sample.started) or last.boot != sample.boot:
        return Verdict(0.0, RESTARTED)
    elapsed = sample.moment - last.moment
    if elapsed < 0:
        # A machine that was put back to an earlier state of itself.
        return Verdict(0.0, UNKNOWN)
    if elapsed < SHORTEST_GAP:
        return Verdict(before.idle, "", keep=False)
    used = 100.0 * (sample.cpu - last.cpu) / elapsed
    if used > cpu_percent:
        return Verdict(0.0, f"it used {used:.1f} % of a CPU since the last look")
    return Verdict(before.idle + min(elapsed, LONGEST_GAP), "")
