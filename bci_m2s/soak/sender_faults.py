"""Faults of a sender: it goes, returns, is imitated, freezes, or sends in odd chunks.

Each is a function of a ``Case``; see ``faults``.
"""

from __future__ import annotations

import time

from bci_m2s.soak.case import Case
from bci_m2s.soak.rig import RATE_HZ

TWIN_S = 8.0  # until a twin is sure to be one
RELISTED_S = 4.0  # a sender that is gone may be listed for this long


# ---- senders that go and return ----


def killed_and_restarted(case: Case) -> None:
    case.start()
    case.sender.kill()
    case.expect_loss()
    case.sender.restart()
    case.returned()
    case.expect_event("gap", "gap of", limit_s=10.0)
    case.expect_recovery()


def killed_for_long(case: Case) -> None:
    case.start()
    case.sender.kill()
    case.expect_loss()
    case.expect_event("stale", "old")
    case.expect_no_estimate(2.0 + 2.0 * case.share)
    case.sender.restart()
    case.returned()
    case.expect_recovery()


def returned_as_another(case: Case, field: str, **changes: object) -> None:
    """It returns with something changed, is refused with that field named, and returns as before."""
    original = {name: getattr(case.sender.spec, name) for name in changes}
    case.start()
    case.sender.kill()
    case.expect_loss()
    case.sender.restart(refused=True, **changes)
    case.expect_event("sender", field, limit_s=12.0)
    case.expect_no_estimate(1.0)
    case.sender.kill()
    case.sender.restart(**original)
    case.returned()
    case.expect_recovery(RELISTED_S)


def twin_beside(case: Case) -> None:
    case.start()
    with case.rig.intruder(case.modality):
        case.expect_event("sender", "another sender claims to be it", limit_s=TWIN_S)
        case.expect_estimates(1.0)


def imitation_takes_over(case: Case) -> None:
    with case.rig.intruder(case.modality):
        case.start()
        case.expect_event("sender", "another sender claims to be it", limit_s=TWIN_S)
        case.start()
        case.sender.kill()
        case.expect_loss()
        case.expect_event("sender", "took over", limit_s=TWIN_S)
        case.expect_no_estimate(2.0)
    case.sender.restart()
    case.returned()
    case.expect_recovery(RELISTED_S)


# ---- senders that stop, and go on ----


def frozen_and_thawed(case: Case) -> None:
    case.start()
    case.sender.freeze()
    case.expect_loss()
    case.expect_event("stale", "old")
    time.sleep(0.5 + 2.5 * case.share)
    case.sender.thaw()
    case.returned()
    case.expect_recovery()


def burst(case: Case) -> None:
    """Two seconds of samples at once, with true stamps: late, but complete."""
    case.command("burst", lasts_s=2.0, n=int(2 * RATE_HZ))
    case.expect_loss()
    case.expect_recovery()


def paused_with_loss(case: Case) -> None:
    case.command("pause", keep=False)
    case.expect_loss()
    case.sender.command("resume")
    case.returned()
    case.expect_event("gap", "gap of")
    case.expect_recovery()


def dropped_samples(case: Case) -> None:
    lost_s = 0.2 + 0.3 * case.share
    case.command("drop", lasts_s=lost_s, n=int(lost_s * RATE_HZ))
    case.expect_event("gap", "gap of")
    case.expect_loss(2 * 1.0)  # the loss itself takes up to half a second
    case.expect_recovery()


def small_chunks(case: Case) -> None:
    case.command("chunk_size", n=1)
    case.expect_estimates(1.0)
    case.command("chunk_size", n=50)
    case.expect_estimates(1.0)
    case.command("chunk_size", n=5)


def empty_chunk(case: Case) -> None:
    case.command("empty_chunk")
    case.expect_estimates(1.0)
