"""What a result says of the machine and the versions that it was measured with, and how busy it was."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bci_m2s import __version__
from bci_m2s.doctor.machine import nvidia_gpus

PACKAGES = ("torch", "numpy", "scipy", "pylsl", "PyQt6")


def machine() -> dict[str, str]:
    """What must be equal where two results are compared."""
    return {
        "processor": _processor(),
        "cores": str(usable_cores()),
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "GPU": "; ".join(nvidia_gpus()) or "none",
    }


def versions() -> dict[str, str]:
    """What a change may be about: bci_m2s with its commit, and packages; "" for a missing one."""
    found = {"bci_m2s": f"{__version__}{_commit()}"}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def describe(of: Mapping[str, str]) -> str:
    """One line of a machine."""
    gpu = "" if of["GPU"] == "none" else f", {of['GPU']}"
    return f"{of['processor']}, {of['cores']} cores{gpu}, {of['system']}, Python {of['Python']}"


def load_now() -> float:
    """Runnable processes of the whole machine, mean of the last minute; NaN where it is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def load_warning(load: float) -> str:
    """Say when others used the processor meanwhile; "" when it was free enough."""
    cores = usable_cores()
    if not load > cores:
        return ""
    return f"load {load:.1f} on {cores} cores: others were busy, so trust the ratios and run it again"


def usable_cores() -> int:
    """Cores that this process may use."""
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


def _commit() -> str:
    """ " (commit)" of a clone, with "+" where its files were changed; "" of an installed wheel."""
    root = Path(__file__).resolve().parents[3]
    if not (root / "pyproject.toml").is_file():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f" ({done.stdout.strip()})" if done.returncode == 0 else ""
