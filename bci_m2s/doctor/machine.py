"""Checks of the computer: versions, GPU, disk, load, power, display."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import numpy as np

from bci_m2s.doctor import Finding, Verdict

SAMPLE_BYTES = 1 + 8 + 64 * 4  # of a recording: flag, stamp, 64 channels of float32 (XDF 1.0)
RECORDED_HZ = 1000
FEW_HOURS, TOO_FEW_HOURS = 4.0, 0.5
MODEL = "demo-62ch-eye"
PASSES = 20
INSTALL = "Set up again, in a virtual environment of its own: pip install ."


def check_versions(
    needed: Sequence[str] | None = None,
    found: Callable[[str], str] = version,
    python: tuple[int, ...] = sys.version_info[:3],
) -> list[Finding]:
    """Python and packages against what bci_m2s requires. needed : requirements like "numpy>=1.26"."""
    try:
        wanted = metadata("bci_m2s")["Requires-Python"] or ""
        needed = requires("bci_m2s") or [] if needed is None else needed
    except PackageNotFoundError:
        return [Finding("versions", "bad", "bci_m2s is not installed as a package", INSTALL)]
    enough = python >= _numbers(wanted)
    shown = f"{'.'.join(map(str, python))} on {platform.platform()}"
    shown += "" if enough else f", expected {wanted}"
    remedy = f"Install Python {wanted.lstrip('>=')} or newer, and bci_m2s with it."
    problems = _package_problems(needed, found)
    fact = "; ".join(problems) or "all present and recent enough"
    return [
        Finding.judge("Python", enough, shown, remedy, "bad"),
        Finding.judge("packages", not problems, fact, INSTALL, "bad"),
    ]


def _package_problems(needed: Sequence[str], found: Callable[[str], str]) -> list[str]:
    problems = []
    for requirement in needed:
        match = re.fullmatch(r"([\w.-]+)\s*>=\s*([\d.]+)", requirement)
        if match is None:  # of an extra, or without a lower limit
            continue
        name, least = match.groups()
        try:
            got = found(name)
        except PackageNotFoundError:
            problems.append(f"{name} is missing")
            continue
        if _numbers(got) < _numbers(least):
            problems.append(f"{name}: got {got}, expected {least} or newer")
    return problems


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.4.1+cu126" gives (2, 4, 1)."""
    match = re.search(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def nvidia_gpus() -> list[str]:
    """Name and driver of each NVIDIA GPU, from nvidia-smi; [] where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=2.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [row.partition(",") for row in result.stdout.splitlines() if result.returncode == 0]
    return [f"{name.strip()}, driver {driver.strip()}" for name, _, driver in rows]


def check_gpu(
    gpus: Callable[[], list[str]] = nvidia_gpus, device_type: Callable[[], str] | None = None
) -> list[Finding]:
    """Which device a network runs on. device_type : "cpu" or "cuda", what torch chooses."""
    found = "; ".join(gpus())
    if device_type is None:
        from bci_m2s.model.predictor import resolve_device

        chosen = str(resolve_device("auto").type)
    else:
        chosen = device_type()
    if chosen != "cpu":
        return [Finding("GPU", "ok", f"{found or chosen}: used")]
    if not found:
        return [Finding("GPU", "ok", "none: the CPU is used, which is sufficient for live estimates")]
    remedy = "Live estimates need no GPU. For training, install a build of torch for this driver's CUDA."
    return [Finding("GPU", "warn", f"{found}: torch cannot use it, the CPU is used", remedy)]


def check_filters(is_compiled: bool | None = None) -> list[Finding]:
    """Which loop filters signals. is_compiled : whether it is ours; None: look"""
    if is_compiled is None:
        from bci_m2s.signal.sections import compiled

        is_compiled = compiled() is not None
    fact = "compiled" if is_compiled else "by scipy: the same values, in three times the time"
    remedy = "With many channels or participants: install a C compiler, then bci_m2s again."
    return [Finding("filters", "ok", fact, "" if is_compiled else remedy)]


def check_model(clock: Callable[[], float] = time.perf_counter) -> list[Finding]:
    """The time that a shipped model takes per window."""
    from bci_m2s.model.predictor import load_model
    from bci_m2s.session.setup.shipped import find_model

    model = load_model(find_model(MODEL))
    model.warm_up()
    modality, spec = next(iter(model.contract.modalities.items()))
    window = np.zeros((1, model.contract.window.steps, spec.feature.n_features))
    spent_ms = []
    for _ in range(PASSES):
        started_s = clock()
        model.logits(modality, window)
        spent_ms.append(1e3 * (clock() - started_s))
    median_ms, hop_ms = float(np.median(spent_ms)), 1e3 * model.contract.window.hop_s
    fact = (
        f"{MODEL} on {model.device}: {median_ms:.1f} ms per window (median of {PASSES}), "
        f"one is due every {hop_ms:.0f} ms"
    )
    remedy = "Close other programs, or give the network more threads (`threads:` in the pipeline)."
    late: Verdict = "warn" if median_ms < hop_ms else "bad"
    return [Finding.judge("model", median_ms < hop_ms / 4, fact, remedy, late)]


def check_disk(folder: Path = Path(), free_bytes: int | None = None) -> list[Finding]:
    """How many hours of 64 channels at 1 kHz fit on the disk of this folder."""
    free = shutil.disk_usage(folder).free if free_bytes is None else free_bytes
    hours = free / (SAMPLE_BYTES * RECORDED_HZ * 3600)
    fact = f"{free / 1e9:.1f} GB free in {folder.resolve()}: {hours:.1f} h of 64 channels at 1 kHz"
    little: Verdict = "warn" if hours >= TOO_FEW_HOURS else "bad"
    remedy = "Free some space, or record to another disk."
    return [Finding.judge("disk", hours >= FEW_HOURS, fact, remedy, little)]


def check_load(load: float | None = None, cores: int | None = None) -> list[Finding]:
    """Whether the processor has time left. load : mean number of running programs in the last minute."""
    if cores is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if load is None:
        if not hasattr(os, "getloadavg"):
            return [Finding("load", "ok", f"{cores} cores; this system does not report its load")]
        load = os.getloadavg()[0]
    fact = f"{load:.1f} on average in the last minute, {cores} cores"
    remedy = "Close other programs: estimates are late when no core is free."
    return [Finding.judge("load", load <= 0.8 * cores, fact, remedy)]


def check_power(system: Path = Path("/sys")) -> list[Finding]:
    """Whether power saving reduces speed; [] where this system does not report it."""
    results = []
    governor = _word(system / "devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor:
        remedy = "If estimates are late, choose the performance profile of the system's power settings."
        results.append(Finding.judge("processor speed", governor != "powersave", governor, remedy))
    supplies = sorted((system / "class/power_supply").glob("*"))
    mains = [_word(supply / "online") for supply in supplies if _word(supply / "type") == "Mains"]
    if mains:
        plugged = "1" in mains
        fact, remedy = "mains" if plugged else "battery", "Plug the computer in for a session."
        results.append(Finding.judge("power", plugged, fact, remedy))
    return results


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def check_display(environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> list[Finding]:
    """Whether a window can be drawn."""
    shown = [f"{key}={environment[key]}" for key in ("WAYLAND_DISPLAY", "DISPLAY") if environment.get(key)]
    usual = "available" if system in ("darwin", "win32") else "none: everything runs in the terminal"
    return [Finding("display", "ok", ", ".join(shown) or usual)]
