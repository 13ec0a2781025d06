"""What counts as a broken promise while estimates are expected to continue."""

from types import SimpleNamespace

import numpy as np
import pytest

from bci_m2s.soak import case
from bci_m2s.soak.case import Case
from bci_m2s.soak.watch import Watch
from bci_m2s.types import Estimate, Stamps, Status

NAN = float("nan")


def line(status, published_s, reason=""):
    return Estimate(
        modality="eeg",
        head="emotion",
        first_index=0,
        last_index=1,
        start_s=0.0,
        end_s=1.0,
        status=status,
        reason=reason,
        probabilities=np.full(2, 0.5),
        confidence=0.5,
        stamps=Stamps(last_sample_s=0.0, published_s=published_s),
    )


@pytest.mark.parametrize(
    ("lines", "patience", "broken"),
    [
        ([], 1.0, []),
        ([line(Status.STALE, 100.9, "signal 0.9 s old")], 1.0, []),  # the promise is a second
        (
            [line(Status.GAP, 100.8, "gap"), line(Status.STALE, 100.9, "signal 0.9 s old")],
            10.0,
            ["no estimate, but one was expected: gap"],
        ),
        ([line(Status.GAP, 99.0, "gap")], 1.0, []),  # before the fault
        ([line(Status.STALE, 101.6, "signal 1.6 s old")], 0.5, ["no estimate for more than a second"]),
    ],
)
def test_only_a_long_silence_or_another_reason_breaks_the_promise(monkeypatch, lines, patience, broken):
    monkeypatch.setattr(case.time, "sleep", lambda _s: None)
    watch = Watch(("eeg",), chosen=False)
    watch.take(line(Status.OK, 100.0))
    for each in lines:
        watch.take(each)
    rig = SimpleNamespace(watch=watch, now_s=lambda: 100.95, patience=patience)
    fault = Case(rig, "fault", "eeg", 0.5, started_s=100.0)
    fault.expect_estimates(0.02)
    assert fault.broken == broken
