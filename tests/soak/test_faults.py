"""Every fault of the table against a running session: what is promised follows, and the books agree.

The faults hurt six streams at once, so that all of them take a minute; the tests then look at one each.
Only those happen that a test of the run looks at.
"""

import threading
from io import StringIO
from itertools import groupby
from queue import Empty, SimpleQueue

import numpy as np
import pytest
from rich.console import Console
from support.lateness import Lateness

from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.recovery import recover
from bci_m2s.review.verify import verify
from bci_m2s.soak.accounts import event_lines, settle_accounts
from bci_m2s.soak.command import Results, report
from bci_m2s.soak.faults import FAULTS, SHARED_FAULTS, run_fault
from bci_m2s.soak.rig import SPARE, Rig
from bci_m2s.soak.usage import measure

pytestmark = pytest.mark.live

PATIENCE = 10.0  # a machine that runs other tests beside
SEED = 20
MODALITIES = ("eeg-1", "eeg-2", "eeg-3", "eeg-4", "eeg-5", "eeg-6")
# those that take longest begin
LONG = ("rate 8 % off", "flood", "rate 20 % off", "jumping stamps", "imitation takes over")
RARE = (
    "killed for long",  # below, where another sensor takes over
    "returned with permuted labels",  # as at 500 Hz; the messages: tests/lsl/test_identity.py
    "returned with other units",
    "returned with another channel count",
    "twin beside",  # how an imitation begins
    "loss code",  # as NaN samples; which numbers are codes: tests/signal/test_quality.py
    "slow network",  # test_soak.py, with the age of the estimates
)
EVERY = (*FAULTS, *SHARED_FAULTS)


def work_off(rig, modality, waiting, outcomes):
    while True:
        try:
            name = waiting.get_nowait()
        except Empty:
            return
        seed = [SEED, list(FAULTS).index(name)]
        outcomes[name] = run_fault(rig, name, modality, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def lived_through(request, tmp_path_factory):
    """A session after all faults that are to be tested: the rig, and what came of each."""
    folder, outcomes, waiting = tmp_path_factory.mktemp("faults"), {}, SimpleQueue()
    own = [item for item in request.session.items if item.path == request.path]
    names = {item.callspec.params["fault"] for item in own if hasattr(item, "callspec")}
    for name in [*LONG, *(name for name in FAULTS if name not in LONG)]:
        if name in names:
            waiting.put(name)
    with Rig(folder, MODALITIES, "each", SEED, PATIENCE) as rig:
        workers = [
            threading.Thread(target=work_off, args=(rig, modality, waiting, outcomes))
            for modality in MODALITIES
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for name in names.intersection(SHARED_FAULTS):
            outcomes[name] = run_fault(rig, name, MODALITIES[0], np.random.default_rng(SEED))
        rig.finish()
    return rig, outcomes


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=pytest.mark.nightly if name in RARE else []) for name in EVERY]
)
def test_what_is_promised_follows(lived_through, fault):
    _, outcomes = lived_through
    print(outcomes[fault].describe())
    assert outcomes[fault].broken == []


def test_the_rare_faults_exist():
    assert set(RARE) <= set(EVERY)


def test_every_sample_is_recorded_or_inside_a_logged_gap(lived_through):
    rig, _ = lived_through
    assert rig.recorder.state().lost_samples == 0
    assert rig.engine.failure is None
    accounts = settle_accounts(rig.path, rig.sent)
    for account in accounts:
        print(account.describe())
        assert account.broken == []
        assert account.outside == account.repeated == 0
        assert account.windows > 0
    assert sum(account.in_gaps for account in accounts) > 1000
    assert accounts[-1].modality == SPARE
    assert accounts[-1].in_gaps == 0


def test_every_estimate_comes_back(lived_through):
    rig, _ = lived_through
    result = verify(rig.path)
    assert result.first is None
    assert result.made > 100


def test_the_log_and_the_recording_say_the_same(lived_through):
    rig, _ = lived_through
    lines = event_lines(open_recording(rig.path))
    events = [line for line in lines if line["kind"] not in ("session", "stopped")]
    written = (rig.folder / "events.jsonl").read_text(encoding="utf-8")
    assert len(events) > 60
    for line in events:
        assert line["utc"] in written
        assert f'"kind": "{line["kind"]}"' in written
    kinds = {line["kind"] for line in events}
    assert {"gap", "stale", "sender", "refused", "quality", "rate", "stamps_repaired", "disk"} <= kinds


def test_the_recording_is_whole(lived_through):
    rig, _ = lived_through
    assert recover(rig.path).is_whole


def end_of_soak(rig, outcomes):
    printed = StringIO()
    results = Results(outcomes, [measure(0.0), measure(1.0)])
    status = report(Console(file=printed, width=200), rig, results)
    return status, printed.getvalue().splitlines()[-1]


def test_a_second_sensor_takes_over_at_once(tmp_path):
    """The promise of two modalities: with one sensor sound there are estimates all along."""
    with Lateness() as lateness, Rig(tmp_path, ("eeg-1",), "auto", SEED, PATIENCE) as rig:
        rig.watch.restart_longest(rig.now_s())
        outcome = run_fault(rig, "killed for long", "eeg-1", np.random.default_rng(1))
        longest_s = rig.watch.longest_s
        rig.patience = 1e-3  # nothing can be noticed in a thousandth of the time: the harness must say so
        too_late = run_fault(rig, "frozen and thawed", "eeg-1", np.random.default_rng(1))
        rig.patience = PATIENCE
        rig.finish()
    assert outcome.broken == []
    assert longest_s < 1.0 + 5 * lateness.worst_s
    assert "still has estimates within 1 s" in too_late.broken
    assert end_of_soak(rig, [outcome]) == (0, "every promise was kept")
    assert end_of_soak(rig, [outcome, too_late]) == (1, "promises broken")
    changes = [line for line in event_lines(open_recording(rig.path)) if line["kind"] == "failover"]
    led = [name for name, _ in groupby(line["to"] for line in changes if line["to"])]
    first = led.index("eeg-1")  # the spare one may have been usable a moment before
    assert led[first : first + 3] == ["eeg-1", SPARE, "eeg-1"]
    assert [account.broken for account in settle_accounts(rig.path, rig.sent)] == [[], []]
    assert verify(rig.path).first is None
