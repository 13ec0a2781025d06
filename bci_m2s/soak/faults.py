"""The table of faults that a running session must survive.

Every fault is a function of a ``Case``: it changes something at a sender or on the machine, and states,
step by step, what is promised. Faults of ``FAULTS`` concern one stream, so several may run at once, each on
its own modality; faults of ``SHARED_FAULTS`` concern the whole session and run alone. Faults that end a
session are in ``stops``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bci_m2s.errors import BciM2sError
from bci_m2s.soak import machine_faults, sender_faults, signal_faults
from bci_m2s.soak.case import Case, Outcome
from bci_m2s.soak.rig import Rig

FAULTS: Mapping[str, Callable[[Case], None]] = {
    "killed and restarted": sender_faults.killed_and_restarted,
    "killed for long": sender_faults.killed_for_long,
    "returned at 500 Hz": sender_faults.other_rate,
    "returned with permuted labels": sender_faults.permuted_labels,
    "returned with other units": sender_faults.other_units,
    "returned with another channel count": sender_faults.other_channel_count,
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
    "rate 2 % off": signal_faults.rate_2_percent_off,
    "rate 8 % off": signal_faults.rate_8_percent_off,
    "rate 20 % off": signal_faults.rate_20_percent_off,
    "NaN samples": signal_faults.nan_samples,
    "loss code": signal_faults.loss_code,
    "flat channels": signal_faults.flat_channels,
    "railed channels": signal_faults.railed_channels,
    "noisy channel": signal_faults.noisy_channel,
}
SHARED_FAULTS: Mapping[str, Callable[[Case], None]] = {
    "huge marker": machine_faults.huge_marker,
    "marker with bad UTF-8": machine_faults.marker_of_bad_utf8,
    "slow network": machine_faults.slow_network,
    "slow disk": machine_faults.disk_is_slow,
    "full disk for a while": machine_faults.full_disk_for_a_while,
}


def run_fault(rig: Rig, name: str, modality: str, rng: np.random.Generator) -> Outcome:
    """Run one fault and wait until the stream is sound again.

    Parameters
    ----------
    rig : running
    name : of ``FAULTS`` or ``SHARED_FAULTS``
    modality : of the sender concerned
    rng : draws what the fault leaves open
    """
    case = Case(rig, name, modality, rng)
    try:
        {**FAULTS, **SHARED_FAULTS}[name](case)
    except BciM2sError as problem:  # the harness itself: a sender that does not start, for instance
        case.broken.append(str(problem))
    if not rig.wait_until_steady(modality):
        case.broken.append("the stream did not recover")
    return case.outcome()
