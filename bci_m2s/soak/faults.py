"""The table of faults that a running session must live through, and what must follow each.

Every fault is a function of a ``Case``: it does something to a sender or to the machine, and states, step
by step, what is promised. Faults of ``FAULTS`` hurt one stream, so several may run at once, each on its
own modality; faults of ``SHARED_FAULTS`` hurt the whole session and run alone. Faults that end a session
are in ``stops``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from bci_m2s.errors import BciM2sError
from bci_m2s.signal.quality import TELL_EVERY_S
from bci_m2s.soak.case import DETECT_S, Case, Outcome
from bci_m2s.soak.rig import LABELS, RATE_HZ, SPARE, UNITS, Rig, slow_disk

EEG = [2, 3, 4, 5]  # columns of the model's channels
RATE_SPAN_S = 10.0  # the effective rate is measured over so long, so its verdict comes and goes slowly
TWIN_S = 8.0  # until a twin is sure to be one
RELISTED_S = 4.0  # a sender that is gone may be listed for so long


def run_fault(rig: Rig, name: str, modality: str, rng: np.random.Generator) -> Outcome:
    """Do one fault; afterwards the stream is sound again.

    Parameters
    ----------
    rig : running
    name : of ``FAULTS`` or ``SHARED_FAULTS``
    modality : whose sender is hurt
    rng : draws what the fault leaves open
    """
    case = Case(rig, name, modality, rng)
    try:
        {**FAULTS, **SHARED_FAULTS}[name](case)
    except BciM2sError as problem:  # the harness itself: a sender that does not start, for instance
        case.broken.append(str(problem))
    if not rig.wait_until_steady(modality):
        case.broken.append("the stream never became sound again")
    return case.outcome()


# ---- senders that go and return ----


def _killed_and_restarted(case: Case) -> None:
    case.begin()
    case.sender.kill()
    case.goes_out()
    case.rig.restart(case.modality)
    case.returned()
    case.tells("gap", "gap of", limit_s=10.0)
    case.comes_back()


def _killed_for_long(case: Case) -> None:
    case.begin()
    case.sender.kill()
    case.goes_out()
    case.tells("stale", "old")
    case.stays_out(case.rng.uniform(2.0, 4.0))
    case.rig.restart(case.modality)
    case.returned()
    case.comes_back()


def _returned_as_another(case: Case, field: str, **changes: object) -> None:
    """It returns with something changed, is refused with the field named, and returns as it was."""
    was = {name: getattr(case.sender.spec, name) for name in changes}
    case.begin()
    case.sender.kill()
    case.goes_out()
    case.rig.restart(case.modality, refused=True, **changes)
    case.tells("sender", field, limit_s=12.0)
    case.stays_out(1.0)
    case.sender.kill()
    case.rig.restart(case.modality, **was)
    case.returned()
    case.comes_back(RELISTED_S)  # who is gone may be listed for a while, and has to be asked first


def _other_rate(case: Case) -> None:
    _returned_as_another(case, "rate_hz: got 500, expected 250", rate_hz=500.0)


def _permuted_labels(case: Case) -> None:
    _returned_as_another(case, "channels: got", labels=(*LABELS[:2], *reversed(LABELS[2:])))


def _other_units(case: Case) -> None:
    _returned_as_another(case, "units: got 'V'", units=(*UNITS[:2], *["V"] * 4))


def _other_channel_count(case: Case) -> None:
    changes = {"labels": (*LABELS, "AUX"), "units": (*UNITS, "uV")}
    _returned_as_another(case, "7 channels, expected 6", **changes)


def _twin_beside(case: Case) -> None:
    case.begin()
    with case.rig.intruder(case.modality):
        case.tells("sender", "another sender claims to be it", limit_s=TWIN_S)
        case.goes_on(1.0)


def _imitation_takes_over(case: Case) -> None:
    with case.rig.intruder(case.modality):
        case.begin()
        case.tells("sender", "another sender claims to be it", limit_s=TWIN_S)
        case.begin()
        case.sender.kill()
        case.goes_out()
        case.tells("sender", "took over", limit_s=TWIN_S)
        case.stays_out(2.0)
    case.rig.restart(case.modality)
    case.returned()
    case.comes_back(RELISTED_S)


# ---- senders that stop, and go on ----


def _frozen_and_thawed(case: Case) -> None:
    case.begin()
    case.sender.freeze()
    case.goes_out()
    case.tells("stale", "old")
    time.sleep(case.rng.uniform(0.5, 3.0))
    case.sender.thaw()
    case.returned()
    case.comes_back()


def _burst(case: Case) -> None:
    """Two seconds at once, with true stamps: late, and whole."""
    case.order("burst", lasts_s=2.0, n=int(2 * RATE_HZ))
    case.goes_out()
    case.comes_back()


def _paused_with_loss(case: Case) -> None:
    case.order("pause", keep=False)
    case.goes_out()
    case.sender.command("resume")
    case.returned()
    case.tells("gap", "gap of")
    case.comes_back()


def _dropped_samples(case: Case) -> None:
    lost_s = case.rng.uniform(0.2, 0.5)
    case.order("drop", lasts_s=lost_s, n=int(lost_s * RATE_HZ))
    case.tells("gap", "gap of")
    case.goes_out(2 * 1.0)  # the loss itself takes up to half a second
    case.comes_back()


def _small_chunks(case: Case) -> None:
    case.order("chunk_size", n=1)
    case.goes_on(1.0)
    case.order("chunk_size", n=50)
    case.goes_on(1.0)
    case.order("chunk_size", n=5)


def _empty_chunk(case: Case) -> None:
    case.order("empty_chunk")
    case.goes_on(1.0)


def _flood(case: Case) -> None:
    """Twenty times the rate: the recording takes it all, and no estimate is made of it."""
    _wait_until_rate_is_sound(case)
    case.rig.rate_sound_s[case.modality] = case.rig.now_s() + 1.5 + RATE_SPAN_S
    case.order("flood", lasts_s=1.5, samples_per_s=20 * RATE_HZ, seconds=1.5)
    case.goes_out()
    case.tells("rate", "effective rate")
    case.comes_back(RATE_SPAN_S)


# ---- stamps ----


def _nan_stamps(case: Case) -> None:
    case.order("nan_stamps", n=50)
    case.tells("stamps_repaired", "no numbers")
    case.goes_on(1.0)


def _nan_stamps_for_long(case: Case) -> None:
    case.order("nan_stamps", lasts_s=3.0, n=750)
    case.goes_out(1.0 + 0.25 + DETECT_S)  # the first second is repaired; then a block is waited for
    case.tells("gap", "not a number")
    case.comes_back()


def _backward_stamps(case: Case) -> None:
    case.order("backward_stamp", seconds=3.0, n=10)
    case.goes_out()
    case.tells("gap", "jumped back")
    case.comes_back()


def _jumping_stamps(case: Case) -> None:
    case.order("jump_stamp", seconds=60.0)
    case.goes_out()
    case.tells("gap", "gap of 60")
    case.comes_back()
    case.rig.restart(case.modality)  # with a clock that is right again
    case.rig.wait_until_steady(case.modality)


def _stamps_that_stand_still(case: Case) -> None:
    case.order("constant_stamps", lasts_s=1.0, n=250)
    case.tells("gap", "gap of")
    case.goes_out(3.0)  # a second stands still, then the stamps jump on
    case.comes_back()


def _jitter(case: Case) -> None:
    case.order("jitter", sd_s=0.004, seconds=1.5)
    case.goes_on(2.0)


def _wait_until_rate_is_sound(case: Case) -> None:
    """A rate that is off is told once: wait until what came before is forgotten."""
    time.sleep(max(0.0, case.rig.rate_sound_s[case.modality] + 1.0 - case.rig.now_s()))


def _rate_off(case: Case, factor: float) -> None:
    _wait_until_rate_is_sound(case)
    case.order("rate_factor", factor=factor)
    case.tells("rate", "effective rate", limit_s=RATE_SPAN_S + 2)
    if abs(factor - 1) <= 0.05:
        case.goes_on(1.0)
    else:
        case.goes_out(RATE_SPAN_S + 2)
    case.sender.command("rate_factor", factor=1.0)
    case.returned()
    case.rig.rate_sound_s[case.modality] = case.returned_s + RATE_SPAN_S
    case.comes_back(RATE_SPAN_S)


def _rate_2_percent_off(case: Case) -> None:
    _rate_off(case, 1.02)


def _rate_8_percent_off(case: Case) -> None:
    _rate_off(case, 0.92)


def _rate_20_percent_off(case: Case) -> None:
    _rate_off(case, 1.2)


# ---- samples ----


def _wait_until_quality_is_told(case: Case) -> None:
    """A channel that flickers is told of every five seconds at most: wait out what came before."""
    rig, span_s = case.rig, TELL_EVERY_S + 1.0
    while told := rig.watch.events("quality", rig.now_s() - span_s, (case.modality,)):
        time.sleep(max(0.05, told[-1].local_s + span_s - rig.now_s()))  # "good again" may come meanwhile


def _bad_channels(case: Case, state: str, lie: str, **arguments: object) -> None:
    """Half of the channels turn bad for a while: no estimate, and the channels are named."""
    _wait_until_quality_is_told(case)
    case.order(lie, lasts_s=2.5, channels=EEG[:2], seconds=2.5, **arguments)
    case.goes_out(1.0 if state != "flat" else 2.0)  # flat is what has not moved for a whole step
    case.tells("quality", "TP9", state)
    case.comes_back()


def _nan_samples(case: Case) -> None:
    _bad_channels(case, "lost", "nan_samples")


def _loss_code(case: Case) -> None:
    _bad_channels(case, "lost", "sentinel", value=1e8)


def _flat_channels(case: Case) -> None:
    _bad_channels(case, "flat", "flat")


def _railed_channels(case: Case) -> None:
    _bad_channels(case, "railed", "rail")


def _noisy_channel(case: Case) -> None:
    """One of four: replaced by the training mean, estimates go on."""
    _wait_until_quality_is_told(case)
    case.order("noise", channels=EEG[2:3], factor=60.0, seconds=2.5)
    case.tells("quality", "AF8", "noisy")
    case.goes_on(1.0)


# ---- markers ----


@contextmanager
def _marker_told(case: Case, words: str) -> Iterator[None]:
    case.modality = SPARE  # its sender has the markers
    case.begin()
    yield
    case.promise(
        lambda: bool(case.rig.watch.events("marker", case.begun_s, (words,))), 10.0, "no marker told"
    )
    case.goes_on(1.0)


def _huge_marker(case: Case) -> None:
    with _marker_told(case, "xxxxxxxx"):
        case.rig.senders[SPARE].command("big_marker", n_bytes=5_000_000)


def _marker_of_bad_utf8(case: Case) -> None:
    with _marker_told(case, "no UTF-8"):
        case.rig.senders[SPARE].command("bad_marker")


# ---- the machine ----


def _slow_network(case: Case) -> None:
    """Half a second per window, eight windows a second or more are due: skipped and counted."""
    skipped = case.rig.engine.skipped
    case.begin()
    case.rig.predictor.delay_s = 0.5
    try:
        time.sleep(6.0)
        case.promise(lambda: case.rig.engine.skipped > skipped, 10.0, "no window was skipped")
    finally:
        case.rig.predictor.delay_s = 0.0
    case.returned()
    case.comes_back()


def _slow_disk(case: Case) -> None:
    with slow_disk(3.0):
        case.begin()
        case.goes_on(5.0)


def _full_disk_for_a_while(case: Case) -> None:
    """No file of this process may grow: told in red, nothing lost, written when there is room again."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    case.begin()
    resource.setrlimit(resource.RLIMIT_FSIZE, (case.rig.path.stat().st_size, hard))
    try:
        case.promise(
            lambda: bool(case.rig.engine.reporter.snapshot().problems or case.rig.recorder.state().problem),
            3.0,
            "the full disk is not reported",
        )
        case.goes_on(1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    case.promise(lambda: not case.rig.recorder.state().problem, 8.0, "not written again")
    case.promise(lambda: bool(case.rig.watch.events("disk", case.begun_s)), 3.0, "no event 'disk'")


FAULTS: Mapping[str, Callable[[Case], None]] = {
    "killed and restarted": _killed_and_restarted,
    "killed for long": _killed_for_long,
    "returned at 500 Hz": _other_rate,
    "returned with permuted labels": _permuted_labels,
    "returned with other units": _other_units,
    "returned with another channel count": _other_channel_count,
    "twin beside": _twin_beside,
    "imitation takes over": _imitation_takes_over,
    "frozen and thawed": _frozen_and_thawed,
    "burst": _burst,
    "paused with loss": _paused_with_loss,
    "dropped samples": _dropped_samples,
    "small chunks": _small_chunks,
    "empty chunk": _empty_chunk,
    "flood": _flood,
    "NaN stamps": _nan_stamps,
    "NaN stamps for long": _nan_stamps_for_long,
    "backward stamps": _backward_stamps,
    "jumping stamps": _jumping_stamps,
    "constant stamps": _stamps_that_stand_still,
    "jitter": _jitter,
    "rate 2 % off": _rate_2_percent_off,
    "rate 8 % off": _rate_8_percent_off,
    "rate 20 % off": _rate_20_percent_off,
    "NaN samples": _nan_samples,
    "loss code": _loss_code,
    "flat channels": _flat_channels,
    "railed channels": _railed_channels,
    "noisy channel": _noisy_channel,
}
SHARED_FAULTS: Mapping[str, Callable[[Case], None]] = {
    "huge marker": _huge_marker,
    "marker with bad UTF-8": _marker_of_bad_utf8,
    "slow network": _slow_network,
    "slow disk": _slow_disk,
    "full disk for a while": _full_disk_for_a_while,
}
