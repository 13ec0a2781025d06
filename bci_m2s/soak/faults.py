"""The table of faults that a running session must survive.

Every fault is a function of a ``Case``: it changes something at a sender or on the machine, and states,
step by step, what is promised. Faults of ``FAULTS`` concern one stream, so several may run at once, each on
its own modality; faults of ``SHARED_FAULTS`` concern the whole session and run alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np

from bci_m2s.errors import BciM2sError
from bci_m2s.soak import sender_faults, signal_faults
from bci_m2s.soak.case import Case
from bci_m2s.soak.rig import LABELS, SPARE, UNITS, Rig
from bci_m2s.soak.sender_faults import returned_as_another
from bci_m2s.soak.signal_faults import bad_channels, rate_off

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


# ---- the table ----

FAULTS: Mapping[str, Callable[[Case], None]] = {
    "killed and restarted": sender_faults.killed_and_restarted,
    "killed for long": sender_faults.killed_for_long,
    "returned at 500 Hz": partial(
        returned_as_another, field="rate_hz: got 500, expected 250", rate_hz=500.0
    ),
    "returned with permuted labels": partial(
        returned_as_another, field="channels: got", labels=(*LABELS[:2], *reversed(LABELS[2:]))
    ),
    "returned with other units": partial(
        returned_as_another, field="units: got 'V'", units=(*UNITS[:2], *["V"] * 4)
    ),
    "returned with another channel count": partial(
        returned_as_another,
        field="7 channels, expected 6",
        labels=(*LABELS, "AUX"),
        units=(*UNITS, "uV"),
    ),
    "twin beside": sender_faults.twin_beside,
    "imitation takes over": sender_faults.imitation_takes_over,
    "frozen and thawed": sender_faults.frozen_and_thawed,
    "burst": sender_faults.burst,
    "paused with loss": sender_faults.paused_with_loss,
    "dropped samples": sender_faults.dropped_samples,
    "small chunks": sender_faults.small_chunks,
    "empty chunk": sender_faults.empty_chunk,
    "flood": signal_faults.flood,
    "NaN stamps": signal_faults.nan_stamps,
    "NaN stamps for long": signal_faults.nan_stamps_for_long,
    "backward stamps": signal_faults.backward_stamps,
    "jumping stamps": signal_faults.jumping_stamps,
    "constant stamps": signal_faults.constant_stamps,
    "jitter": signal_faults.jitter,
    "rate 2 % off": partial(rate_off, factor=1.02),
    "rate 8 % off": partial(rate_off, factor=0.92),
    "rate 20 % off": partial(rate_off, factor=1.2),
    "NaN samples": partial(bad_channels, state="lost", fault="nan_samples"),
    "loss code": partial(bad_channels, state="lost", fault="sentinel", value=1e8),
    "flat channels": partial(bad_channels, state="flat", fault="flat"),
    "railed channels": partial(bad_channels, state="railed", fault="rail"),
    "noisy channel": signal_faults.noisy_channel,
}
SHARED_FAULTS: Mapping[str, Callable[[Case], None]] = {
    "huge marker": huge_marker,
    "marker with bad UTF-8": marker_of_bad_utf8,
    "slow network": slow_network,
    "slow disk": disk_is_slow,
    "full disk for a while": full_disk_for_a_while,
}


def run_fault(rig: Rig, name: str, modality: str, rng: np.random.Generator) -> Case:
    """Run one fault and wait until the stream is sound again.

    Parameters
    ----------
    rig : running
    name : of ``FAULTS`` or ``SHARED_FAULTS``
    modality : of the sender concerned
    rng : draws what the fault leaves open
    """
    case = Case(rig, name, modality, rng.random())
    try:
        {**FAULTS, **SHARED_FAULTS}[name](case)
    except BciM2sError as problem:  # the harness itself: a sender that does not start, for instance
        case.broken.append(str(problem))
    if not rig.wait_until_steady(modality):
        case.broken.append("the stream did not recover")
    return case
