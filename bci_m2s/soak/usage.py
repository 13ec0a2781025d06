"""Memory, threads and open files of this process, and their growth."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import theilslopes

PROC = Path("/proc/self")
WARM_UP_SHARE = 1 / 3  # of the time: pools fill, buffers reach their size
LONGEST_WARM_UP_S = 1800.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """At one moment; NaN where this system gives no figure.

    at_s : the moment; rss_mib : resident memory; threads : those of libraries too; descriptors : open files
    """

    at_s: float
    rss_mib: float
    threads: float
    descriptors: float

    def describe(self) -> str:
        """In words."""
        return f"{self.rss_mib:.0f} MiB, {self.threads:g} threads, {self.descriptors:g} descriptors"


def measure(at_s: float) -> Usage:
    """Usage now, from ``/proc`` where there is one."""
    try:
        pages = int((PROC / "statm").read_text().split()[1])
        threads, descriptors = (len(list((PROC / folder).iterdir())) for folder in ("task", "fd"))
    except OSError:  # not Linux: liblsl's threads cannot be seen
        return Usage(at_s, math.nan, threading.active_count(), math.nan)
    return Usage(at_s, pages * os.sysconf("SC_PAGE_SIZE") / MIB, threads, descriptors)


def growth_mib_per_h(usages: Sequence[Usage]) -> float:
    """Slope of the memory after the warm-up, MiB/h, by Theil and Sen; NaN for fewer than ten measurements.

    Theil 1950, Sen 1968 (J. Am. Stat. Assoc. 63): the median slope over all pairs, robust to single
    jumps of an allocator.
    """
    if not usages:
        return math.nan
    start_s, end_s = usages[0].at_s, usages[-1].at_s
    from_s = start_s + min(LONGEST_WARM_UP_S, WARM_UP_SHARE * (end_s - start_s))
    late = [usage for usage in usages if usage.at_s >= from_s]
    if len(late) < 10:
        return math.nan
    at_h = np.array([usage.at_s for usage in late]) / 3600
    mib = np.array([usage.rss_mib for usage in late])
    return float(theilslopes(mib, at_h).slope)
