"""Faults of the whole session: odd markers, a slow network or disk. Each is a function of a ``Case``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bci_m2s.soak.case import Case
from bci_m2s.soak.rig import SPARE

# ---- markers ----


@contextmanager
def _marker_reported(case: Case, words: str) -> Iterator[None]:
    case.modality = SPARE  # its sender has the markers
    case.start()
    yield
    case.expect(
        lambda: bool(case.rig.watch.events("marker", case.started_s, (words,))), 10.0, "no marker reported"
    )
    case.expect_estimates(1.0)


def huge_marker(case: Case) -> None:
    with _marker_reported(case, "xxxxxxxx"):
        case.rig.senders[SPARE].command("big_marker", n_bytes=5_000_000)


def marker_of_bad_utf8(case: Case) -> None:
    with _marker_reported(case, "no UTF-8"):
        case.rig.senders[SPARE].command("bad_marker")


# ---- the machine ----


def slow_network(case: Case) -> None:
    """Half a second per window, with eight or more windows due per second: skipped and counted."""
    skipped = case.rig.engine.skipped
    case.start()
    case.rig.predictor.delay_s = 0.5
    try:
        time.sleep(6.0)
        case.expect(lambda: case.rig.engine.skipped > skipped, 10.0, "no window was skipped")
    finally:
        case.rig.predictor.delay_s = 0.0
    case.returned()
    case.expect_recovery()


def disk_is_slow(case: Case) -> None:
    case.rig.disk_delay_s = 3.0
    try:
        case.start()
        case.expect_estimates(5.0)
    finally:
        case.rig.disk_delay_s = 0.0


def full_disk_for_a_while(case: Case) -> None:
    """No file of this process may grow: reported, nothing lost, written when there is room again."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    case.start()
    resource.setrlimit(resource.RLIMIT_FSIZE, (case.rig.path.stat().st_size, hard))
    try:
        case.expect(
            lambda: bool(case.rig.engine.reporter.snapshot().problems or case.rig.recorder.state().problem),
            3.0,
            "the full disk is not reported",
        )
        case.expect_estimates(1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    case.expect(lambda: not case.rig.recorder.state().problem, 8.0, "not written again")
    case.expect(lambda: bool(case.rig.watch.events("disk", case.started_s)), 3.0, "no event 'disk'")
