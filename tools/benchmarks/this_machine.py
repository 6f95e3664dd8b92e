"""What tells this machine and its software from others."""

import pathlib
import platform
from importlib import metadata
from typing import Any

import psutil


def facts(*packages: str) -> dict[str, Any]:
    """Return the processor, memory, load and versions, as JSON values.

    Args:
        *packages: Distributions whose versions matter.
    """
    return {
        "cpu": " ".join(_of_first_cpu("model name")) or platform.machine(),
        "cores": len(psutil.Process().cpu_affinity()),
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
        "load_average": round(psutil.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
    }


def free_mb() -> float:
    """Return the memory that can be had without swapping, in MB."""
    return psutil.virtual_memory().available / 1e6


def cpu_flags() -> list[str]:
    """Return the instruction sets of the processor."""
    return _of_first_cpu("flags")


def _of_first_cpu(name: str) -> list[str]:
    """Return words that the kernel says of the first processor; psutil knows none."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, text = line.partition(":")
        if key.strip() == name:
            return text.split()
    return []


def quota_cores() -> float:
    """Return how many cores' time the control group allows; 0: no limit."""
    try:
        quota, period = pathlib.Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return 0.0 if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):  # No control groups, or of another version.
        return 0.0
