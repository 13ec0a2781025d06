"""Sessions on an overloaded machine: other programs use the cores, or the network is slow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bci_m2s.review.verify import verify
from bci_m2s.soak.accounts import settle_accounts
from bci_m2s.soak.rig import Rig

CORES = 2
MOST_BEHIND_S = 2.0  # oldest estimate with a slow network: a window's time and a second


@contextmanager
def busy_cores(cores: int = CORES, burners: int = 1) -> Iterator[None]:
    """Confine this process and its children to a few cores, shared with processes that never pause."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[:cores]))
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(burners)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()
        os.sched_setaffinity(0, allowed)


def beside_a_burner(
    folder: Path, seconds: float, burners: int = 1, seed: int = 0, patience: float = 3.0
) -> tuple[Rig, str]:
    """Run a session of three streams on two cores beside busy processes.

    patience : as for ``Rig``

    Returns
    -------
    (Rig, str)
        The finished rig, and the ages of its estimates as a text: median, 95th and 99th percentile, ms.
    """
    with busy_cores(burners=burners), Rig(folder, ("cap", "ear"), "each", seed, patience) as rig:
        time.sleep(seconds)
        rig.finish()
    p50, p95, p99 = rig.engine.publisher.statistics.percentiles_ms("age")
    return rig, f"age of estimates p50 {p50:.1f} p95 {p95:.1f} p99 {p99:.1f} ms"


def with_a_slow_network(
    folder: Path, seconds: float, delay_s: float = 0.5, seed: int = 0, patience: float = 1.0
) -> list[str]:
    """Let every window of a session of three streams take `delay_s`; return the broken promises.

    Eight or more windows are due per second and two can be judged: the others must be skipped and counted,
    no sample may be lost, and the estimates must be recent and the same in a replay.
    patience : as for ``Rig``
    """
    broken = []
    with Rig(folder, ("cap", "ear"), "each", seed, patience) as rig:
        judged = rig.watch.judged
        rig.watch.restart_longest(rig.now_s())
        rig.predictor.delay_s = delay_s
        time.sleep(seconds)
        judged, oldest_s = rig.watch.judged - judged, rig.watch.oldest_s
        rig.predictor.delay_s = 0.0
        rig.wait_until_steady()
        rig.finish()
    most_s = MOST_BEHIND_S + len(rig.senders) * delay_s
    if not rig.engine.skipped:
        broken.append("no window was skipped")
    if not judged:
        broken.append("no window was judged")
    if oldest_s > most_s:
        broken.append(f"an estimate was {oldest_s:.1f} s old, expected at most {most_s:g} s")
    if rig.recorder.state().lost_samples:
        broken.append(f"recorder: {rig.recorder.state().lost_samples} samples lost, expected 0")
    broken += [promise for account in settle_accounts(rig.path, rig.sent) for promise in account.broken]
    result = verify(rig.path)
    if result.first is not None:
        broken.append(f"verify: {result.first.describe()}")
    print(
        f"slow network: {seconds:g} s, {judged} windows judged, {rig.engine.skipped} skipped, "
        f"oldest estimate {oldest_s:.2f} s, recorder loss {rig.recorder.state().lost_samples}"
    )
    return broken
