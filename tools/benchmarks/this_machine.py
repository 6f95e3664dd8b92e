"""What tells this machine and its software from others."""

import pathlib
import platform
from importlib import metadata
from typing import Any

import psutil

from vae_prod.core import processor

# What convolutions and low precisions are computed by, as Linux names it.
_TELLING = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_bf16", "amx_fp16", "asimd", "sve", "bf16"),
)


def facts(*packages: str) -> dict[str, Any]:
    """Return the processor, memory, load and versions, as JSON values.

    Args:
        *packages: Distributions whose versions matter.
    """
    return {
        "cpu": processor.model_name() or platform.machine(),
        "instruction_sets": [s for s in _TELLING if s in processor.instruction_sets()],
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


def quota_cores() -> float:
    """Return how many cores' time the control group allows; 0: no limit."""
    try:
        quota, period = pathlib.Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return 0.0 if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):  # No control groups, or of another version.
        return 0.0
