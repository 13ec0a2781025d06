"""Faults of stamps, rates and samples. Each is a function of a ``Case``; see ``faults``."""

from __future__ import annotations

import time

from bci_m2s.signal.quality import REPORT_EVERY_S
from bci_m2s.soak.case import DETECT_S, Case
from bci_m2s.soak.rig import RATE_HZ

EEG = [2, 3, 4, 5]  # columns of the model's channels
RATE_SPAN_S = 10.0  # of the measured rate, so its verdict changes slowly


# ---- stamps ----


def nan_stamps(case: Case) -> None:
    case.command("nan_stamps", n=50)
    case.expect_event("stamps_repaired", "no numbers")
    case.expect_estimates(1.0)


def nan_stamps_for_long(case: Case) -> None:
    case.command("nan_stamps", lasts_s=3.0, n=750)
    case.expect_loss(1.0 + 0.25 + DETECT_S)  # the first second is repaired; then a block has to end
    case.expect_event("gap", "not a number")
    case.expect_recovery()


def backward_stamps(case: Case) -> None:
    case.command("backward_stamp", seconds=3.0, n=125)  # longer than what one late pull may hold
    case.expect_loss()
    case.expect_event("gap", "jumped back")
    case.expect_recovery()


def jumping_stamps(case: Case) -> None:
    case.command("jump_stamp", seconds=60.0)
    case.expect_loss()
    case.expect_event("gap", "gap of 60")
    case.expect_event("refused", "not LSL time")
    case.sender.restart()  # with a correct clock again
    case.rig.wait_until_steady(case.modality)


def constant_stamps(case: Case) -> None:
    case.command("constant_stamps", lasts_s=1.0, n=250)
    case.expect_event("gap", "gap of")
    case.expect_loss(3.0)  # the stamps stand still for a second, then jump
    case.expect_recovery()


def jitter(case: Case) -> None:
    case.command("jitter", sd_s=0.004, seconds=1.5)
    case.expect_estimates(2.0)


def wait_until_rate_is_sound(case: Case) -> None:
    """A wrong rate is reported once: wait until the rate before is forgotten."""
    time.sleep(max(0.0, case.rig.rate_sound_s[case.modality] + 1.0 - case.rig.now_s()))


def flood(case: Case) -> None:
    """Twenty times the rate: all of it is recorded, and none of it makes an estimate."""
    wait_until_rate_is_sound(case)
    case.rig.rate_sound_s[case.modality] = case.rig.now_s() + 1.5 + RATE_SPAN_S
    case.command("flood", lasts_s=1.5, samples_per_s=20 * RATE_HZ, seconds=1.5)
    case.expect_loss()
    case.expect_event("rate", "effective rate")
    case.expect_recovery(RATE_SPAN_S)


def rate_off(case: Case, factor: float) -> None:
    wait_until_rate_is_sound(case)
    case.command("rate_factor", factor=factor)
    case.expect_event("rate", "effective rate", limit_s=RATE_SPAN_S + 2)
    if abs(factor - 1) <= 0.05:
        case.expect_estimates(1.0)
    else:
        case.expect_loss(RATE_SPAN_S + 2)
    case.sender.command("rate_factor", factor=1.0)
    case.returned()
    case.rig.rate_sound_s[case.modality] = case.returned_s + RATE_SPAN_S
    case.expect_recovery(RATE_SPAN_S)


# ---- samples ----


def wait_until_quality_is_reported(case: Case) -> None:
    """A channel is reported every five seconds at most: wait until earlier reports are over."""
    rig, span_s = case.rig, REPORT_EVERY_S + 1.0
    while reported := rig.watch.events("quality", rig.now_s() - span_s, (case.modality,)):
        # "good again" may come meanwhile
        time.sleep(max(0.05, reported[-1].local_s + span_s - rig.now_s()))


def bad_channels(case: Case, state: str, fault: str, **arguments: object) -> None:
    """Half of the channels are bad for a while: no estimate, and the channels are named."""
    wait_until_quality_is_reported(case)
    case.command(fault, lasts_s=2.5, channels=EEG[:2], seconds=2.5, **arguments)
    # a channel is flat after a whole step without a change
    case.expect_loss(1.0 if state != "flat" else 2.0)
    case.expect_event("quality", "TP9", state)
    case.expect_recovery()


def noisy_channel(case: Case) -> None:
    """One of four channels: replaced by the training mean, estimates continue."""
    wait_until_quality_is_reported(case)
    case.command("noise", channels=EEG[2:3], factor=60.0, seconds=2.5)
    case.expect_event("quality", "AF8", "noisy")
    case.expect_estimates(1.0)
