"""How many processors this process may use, containers included."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["usable_cpus"]


def usable_cpus(root: Path = Path("/")) -> int:
    """At least 1: the processors that the process may run on, or fewer where a container's quota
    allows fewer. A part of a processor does not count.

    Args:
        root: Where ``/proc`` and ``/sys`` stand.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        allowed = os.cpu_count() or 1
    quota = _quota(root)
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def _quota(root: Path) -> float | None:
    """The quota of the control group, in processors; None: there is none."""
    quotas = []
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    # Inside a container its own group is usually mounted as the root of the tree.
    unified, old = [""], [""]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            unified.append(path)
        elif "cpu" in controllers.split(","):
            old.append(path)
    mount = root / "sys/fs/cgroup"
    for path in unified:
        words = _read(mount / path.strip("/") / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            quotas.append(int(words[0]) / int(words[1]))
    for path in old:
        folder = mount / "cpu" / path.strip("/")
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota and period and int(quota) > 0:
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
