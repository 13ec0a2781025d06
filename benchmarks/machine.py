"""What a benchmark says of the machine that it ran on."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path


def describe_machine() -> str:
    """One line: processor, cores that this process may use, system and Python."""
    return (
        f"{_processor()}, {_usable_cores()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def load_now() -> float:
    """Runnable processes of the whole machine, mean of the last minute; NaN where it is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def load_warning(load: float) -> str:
    """Say when others used the processor meanwhile; "" when it was free enough."""
    cores = _usable_cores()
    if not load > cores:
        return ""
    return f"load {load:.1f} on {cores} cores: others were busy, so trust the ratios and run it again"


def _usable_cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
