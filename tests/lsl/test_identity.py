"""Who sends: the rules by themselves, then real senders that die, return changed, freeze and imitate."""

import concurrent.futures
import gc
import math
import os
import threading
import time
import uuid
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.lateness import Lateness
from support.nightly import nightly

from bci_m2s.lsl.identity import CHECKING, INVISIBLE, IdentityWatch, Moved, difference
from bci_m2s.lsl.network import brief_info, local_clock, request_info, shared_network
from bci_m2s.soak.fault_sender import FaultSender
from bci_m2s.soak.fault_spec import FaultSpec
from bci_m2s.sources.lsl import LslSource
from bci_m2s.types import StreamInfo

LABELS = ("Fz", "Cz", "Pz")
OPENED = StreamInfo("cap", "EEG", "cap-1", "uid-a", "lab", 250.0, LABELS, ("uV",) * 3)
RETURNED = replace(OPENED, uid="uid-b")
LIMIT_S = 120.0


class World:
    """Looks at an imagined network, four a second; a sender that is asked answers what it is."""

    def __init__(self):
        self.watch = IdentityWatch(OPENED)
        self.now_s, self.received_s, self.gap_s = 100.0, math.nan, math.nan
        self.listed = {OPENED.uid: OPENED}
        self.answers = {OPENED.uid: OPENED}  # who is alive
        self.moved = Moved.NO
        self.born_s = {OPENED.uid: 50.0}
        self.asked = []

    def run(self, seconds, coming=True):
        """Let time pass; return all that was said to be the problem, in order, without repetitions."""
        problems = []
        for _ in range(round(seconds / 0.25)):
            self.now_s += 0.25
            if coming:
                self.received_s = self.now_s - 0.01
            problems.append(self.look())
        return [text for number, text in enumerate(problems) if number == 0 or text != problems[number - 1]]

    def look(self):
        moved = self.moved
        self.moved = Moved.NO if moved is Moved.YES else moved
        brief = {uid: replace(info, units=("",) * info.n_channels) for uid, info in self.listed.items()}
        uid = self.watch.look(self.now_s, brief, self.received_s, self.gap_s, moved, self.born_s)
        if uid:
            self.asked.append(uid)
            self.watch.answer(self.now_s, uid, self.answers.get(uid))
        return self.watch.problem

    def die(self, uid):
        """It sends and answers no more; it is still listed."""
        del self.answers[uid]

    def appear(self, info):
        self.listed[info.uid] = self.answers[info.uid] = info
        self.born_s[info.uid] = self.now_s

    def move(self):
        """The connection goes to whoever is there; the stamps have a gap."""
        self.moved, self.gap_s = Moved.YES, self.now_s + 0.2

    def replaced_by(self, info):
        """The sender dies, `info` comes in the silence, and the connection moves to it."""
        assert self.run(3) == [""]
        self.die(OPENED.uid)
        assert self.run(1, coming=False) == [""]
        self.appear(info)
        assert self.run(1, coming=False)
        self.move()
        return self.run(2)


def test_an_undisturbed_stream_is_trusted_and_nobody_is_asked():
    world = World()
    assert world.run(10) == [""]
    assert world.asked == world.watch.notices() == []


def test_a_gap_without_a_move_is_the_same_sender():
    world = World()
    world.run(3)
    world.run(5, coming=False)
    world.listed.clear()  # a frozen sender is not seen for a while
    world.gap_s = world.now_s
    assert world.run(3) == [""]
    assert world.asked == world.watch.notices() == []


def test_a_restarted_sender_is_asked_and_accepted():
    world = World()
    assert world.replaced_by(RETURNED) == [""]
    assert world.asked == ["uid-b"]
    [notice] = world.watch.notices()
    assert notice == "sender returned after 2.3 s, uid uid-b, host 'lab'"
    assert world.watch.notices() == []


def test_it_is_not_trusted_before_it_is_seen():
    world = World()
    world.run(3)
    world.die("uid-a")
    world.run(1, coming=False)
    world.move()
    assert world.run(1) == [CHECKING]
    world.appear(RETURNED)
    world.born_s["uid-b"] = world.now_s - 2  # it was there when the connection moved, but not seen yet
    assert world.run(1) == [""]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rate_hz": 500.0}, "rate_hz: got 500, expected 250"),
        ({"labels": ("Cz", "Fz", "Pz")}, "channels: got 'Cz', 'Fz', expected 'Fz', 'Cz'"),
        ({"units": ("uV", "uV", "V")}, "units: got 'V', expected 'uV'"),
        ({"host": "elsewhere"}, "another sender took over: host: got 'elsewhere', expected 'lab'"),
    ],
)
def test_one_that_returns_changed_is_refused_until_the_right_one_returns(change, problem):
    world = World()
    [stated] = world.replaced_by(replace(RETURNED, **change))
    assert stated.startswith(problem)
    assert "uid-b" in stated
    del world.listed["uid-a"]
    assert world.run(5) == [stated]
    world.die("uid-b")
    world.appear(replace(OPENED, uid="uid-c"))
    world.move()
    assert world.run(2) == [""]
    assert "uid-c" in world.watch.notices()[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"labels": LABELS[:1], "units": ("uV",)}, "returned with 1 channel, expected 3"),
        ({"channel_format": "int16"}, "returned with channel format int16, expected float32"),
    ],
)
def test_a_shape_to_which_liblsl_does_not_reconnect_is_named(change, problem):
    world = World()
    world.run(3)
    world.die("uid-a")
    world.run(2, coming=False)
    world.appear(replace(RETURNED, **change))
    [stated] = world.run(5, coming=False)
    assert stated.startswith(problem)
    del world.listed["uid-a"], world.listed["uid-b"]
    world.appear(replace(OPENED, uid="uid-c"))
    world.run(1, coming=False)
    world.move()
    assert world.run(2) == [""]


def test_another_shape_beside_a_living_stream_does_no_harm():
    world = World()
    world.run(3)
    world.appear(replace(RETURNED, labels=("x",), units=("",)))
    assert world.run(5) == [""]


def test_a_twin_is_noticed_once_and_refused_when_it_takes_over():
    world = World()
    world.run(3)
    world.appear(RETURNED)
    assert world.run(5) == [""]
    assert world.watch.notices() == [
        "another sender claims to be it: uid uid-b, host 'lab'; its samples are not used"
    ]
    world.die("uid-a")
    world.run(2, coming=False)
    world.move()
    expected = "another sender took over: uid uid-b, host 'lab'; it was there beside the first"
    assert world.run(5) == [expected]
    world.appear(OPENED)  # the first one is back, but the connection stays where it is
    assert world.run(5) == [expected]
    world.die("uid-b")
    world.move()
    assert world.run(3) == [""]
    assert world.watch.notices() == ["the first sender is back: uid uid-a, host 'lab'"]


def test_a_dead_sender_that_is_still_listed_is_not_taken_for_the_one_that_sends():
    world = World()
    world.replaced_by(replace(RETURNED, rate_hz=500.0))
    world.die("uid-b")
    world.appear(replace(OPENED, uid="uid-c"))
    world.moved, world.gap_s = Moved.UNKNOWN, world.now_s + 0.1
    assert world.run(2) == [CHECKING]  # uid-b does not answer, but may yet
    del world.listed["uid-b"]
    assert world.run(1) == [""]


def test_two_that_answer_after_a_move_are_refused():
    world = World()
    world.run(3)
    world.die("uid-a")
    world.run(1, coming=False)
    world.appear(RETURNED)
    world.appear(replace(OPENED, uid="uid-c"))
    world.move()
    *_, stated = world.run(2)
    assert stated.startswith("2 senders claim to be it, and which one sends is unknown: uid uid-b")


def test_samples_from_nobody_are_not_trusted():
    world = World()
    world.run(3)
    world.die("uid-a")
    world.run(1, coming=False)
    world.move()
    assert world.run(20) == [CHECKING, INVISIBLE]
    world.appear(RETURNED)  # after the move: whoever sends, it is not this one
    assert world.run(5) == [INVISIBLE]
    world.move()
    assert world.run(2) == [""]


@pytest.mark.parametrize("returns", [False, True])
def test_before_the_clock_offset_is_known_every_gap_is_checked(returns):
    world = World()
    world.moved = Moved.UNKNOWN
    assert world.run(3) == [""]
    if returns:
        world.die("uid-a")
        world.appear(RETURNED)
    world.gap_s = world.now_s
    if returns:
        assert world.run(2) == [CHECKING]
        del world.listed["uid-a"]
    assert world.run(2) == [""]
    assert world.asked[0] == "uid-a"
    assert len(world.watch.notices()) == returns


def test_a_return_is_not_mistaken_for_a_twin_before_the_clock_offset_is_known():
    world = World()
    world.moved = Moved.UNKNOWN
    world.run(3)
    world.run(1, coming=False)
    world.appear(RETURNED)
    world.run(1, coming=False)
    world.run(1)  # samples come again; the gap is reported a little late
    world.gap_s = world.now_s - 1
    world.die("uid-a")
    del world.listed["uid-a"]
    world.run(8)
    assert world.watch.problem == ""
    assert "returned" in world.watch.notices()[0]


def test_streams_of_the_same_device_are_not_mixed_up():
    world = World()
    world.run(3)
    world.appear(replace(RETURNED, name="cap markers", type="Markers"))
    world.run(5)
    assert world.watch.notices() == []


def test_messages_stay_short_whatever_the_network_says():
    many = replace(OPENED, labels=("a",) * 64, units=("",) * 64)
    other = replace(many, labels=("\n" + "x" * 10_000,) * 64)
    stated = difference(other, many)
    assert stated.startswith("channels: got ")
    assert len(stated) < 500
    assert "\n" not in stated


# ---- real senders ----


class Listener:
    """One thread pulls, one asks who sends: what an engine does with a source."""

    def __init__(self, name, strangers=()):
        self.source = LslSource(name, wait_s=LIMIT_S)
        self.source.open()
        self.newest = -1, math.nan  # run of the newest sample, and when it came
        self.runs = {}  # how many samples came of each
        self.strangers = strangers  # runs that must never be trusted
        self.trusted_strangers = 0
        self.problem, self.notices = "", []
        self.longest_pull_s = self.longest_question_s = 0.0
        self.lateness = Lateness()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._pull), threading.Thread(target=self._ask)]

    def __enter__(self):
        self.lateness.__enter__()
        for thread in self._threads:
            thread.start()
        self.until(lambda: self.newest[1] > 0)
        self.until(lambda: not math.isnan(self.source.clock_offset_s(0.1)))
        return self

    def __exit__(self, *_error):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.lateness.__exit__()
        self.source.close()

    def limit_s(self):
        """How long a call may take: half a second, and what the machine adds on the ways there and back."""
        return 0.5 + 4 * self.lateness.worst_s

    def until(self, condition):
        limit = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < limit, (self.problem, self.notices, self.runs)
            time.sleep(0.02)

    def _pull(self):
        while not self._stop.is_set():
            begun_s = time.monotonic()
            chunk = self.source.pull(0.2)
            self.longest_pull_s = max(self.longest_pull_s, time.monotonic() - begun_s)
            if not len(chunk):
                continue
            for run in chunk.samples[:, 1]:
                self.runs[int(run)] = self.runs.get(int(run), 0) + 1
            self.newest = int(chunk.samples[-1, 1]), float(chunk.received_s[-1])

    def _ask(self):
        known_s = math.nan
        while not self._stop.wait(0.1):
            (run, received_s), begun_s = self.newest, time.monotonic()
            self.problem = self.source.problem()
            self.longest_question_s = max(self.longest_question_s, time.monotonic() - begun_s)
            self.notices += self.source.notices()
            came, known_s = received_s > known_s, received_s
            self.trusted_strangers += came and run in self.strangers and not self.problem


def new_spec(**fields):
    name = f"watch-{uuid.uuid4().hex[:8]}"
    return FaultSpec(**{"name": name, "source_id": f"{name}-id"} | fields)


def returns_changed():
    """It dies and returns: equal, at 500 Hz, with labels permuted, right again."""
    with FaultSender(new_spec()) as sender, Listener(sender.spec.name, strangers=(2, 3)) as listener:
        sender.kill()
        sender.restart()
        listener.until(lambda: listener.runs.get(1, 0) > 100 and not listener.problem)
        assert len(listener.notices) == 1
        assert listener.notices[0].startswith("sender returned after ")
        assert sender.uid in listener.notices[0]
        sender.kill()
        sender.restart(rate_hz=500.0)
        listener.until(lambda: listener.problem.startswith("rate_hz: got 500, expected 250"))
        listener.until(lambda: listener.runs.get(2, 0) > 100)
        right = sender.spec.labels
        sender.restart(rate_hz=250.0, labels=(*right[:2], "Cz", "Fz", "Pz"))
        listener.until(lambda: listener.problem.startswith("channels: got 'Cz', 'Fz', expected 'Fz', 'Cz'"))
        listener.until(lambda: listener.runs.get(3, 0) > 100)
        sender.restart(labels=right)
        listener.until(lambda: listener.runs.get(4, 0) > 100 and not listener.problem)
        return listener


def returns_with_other_units_and_shape():
    """It returns in volts, then with three channels, then right."""
    with FaultSender(new_spec()) as sender, Listener(sender.spec.name, strangers=(1, 2)) as listener:
        right = sender.spec.labels
        sender.restart(units=("V",) * 5)
        listener.until(lambda: listener.problem.startswith("units: got 'V', 'V'"))
        listener.until(lambda: listener.runs.get(1, 0) > 100)
        sender.kill()
        sender.restart(units=(), labels=right[:3])
        listener.until(lambda: listener.problem.startswith("returned with 3 channels, expected 5"))
        sender.restart(labels=right)
        listener.until(lambda: listener.runs.get(3, 0) > 100 and not listener.problem)
        assert 2 not in listener.runs
        return listener


def twin_takes_over():
    """A second sender of the same id beside the first; the first dies, comes back, the twin dies."""
    spec = new_spec()
    with FaultSender(spec) as sender, Listener(spec.name, strangers=(50,)) as listener:
        with FaultSender(replace(spec, run=50)) as twin:
            listener.until(lambda: listener.notices)
            assert listener.notices[0].startswith(f"another sender claims to be it: uid {twin.uid}")
            assert listener.problem == ""
            sender.kill()
            listener.until(lambda: listener.runs.get(50, 0) > 100)
            assert listener.problem.startswith(f"another sender took over: uid {twin.uid}")
            assert listener.problem.endswith("it was there beside the first")
            sender.restart()
            seen_from = listener.runs[50]
            listener.until(lambda: listener.runs[50] > seen_from + 250)
            assert "took over" in listener.problem
        listener.until(lambda: listener.runs.get(1, 0) > 100 and not listener.problem)
        return listener


def frozen_and_thawed():
    """Frozen before the first pull, thawed, frozen for longer, thawed: the same sender all the time."""
    with FaultSender(new_spec()) as sender:
        source = LslSource(sender.spec.name, wait_s=LIMIT_S)
        source.open()
        network, limit = shared_network(), time.monotonic() + LIMIT_S
        while sender.uid not in network.streams():
            assert time.monotonic() < limit
            time.sleep(0.05)
        raw = network.streams()[sender.uid]
        sender.freeze()
        took = {"pull": 0.0, "clock_offset": 0.0, "problem": 0.0}
        for _ in range(12):
            for name, call in (
                ("clock_offset", lambda: source.clock_offset_s(0.2)),
                ("pull", lambda: source.pull(0.2)),
                ("problem", lambda: source.problem()),
            ):
                begun_s = time.monotonic()
                call()
                took[name] = max(took[name], time.monotonic() - begun_s)
        begun_s = time.monotonic()
        assert request_info(raw, brief_info(raw)) is None
        took["ask"] = time.monotonic() - begun_s
        assert math.isnan(source.clock_offset_s(0.0))
        source.close()
        sender.thaw()
        with Listener(sender.spec.name) as listener:
            sender.freeze()
            listener.until(lambda: local_clock() - listener.newest[1] > 4.0)
            sender.thaw()
            already = listener.runs[0]
            listener.until(lambda: listener.runs[0] > already + 1100)
            assert listener.problem == ""
            assert listener.notices == []
            return listener, took


def imitation_from_another_session(folder):
    """The first dies, and a sender that cannot be seen in this session is connected to by liblsl."""
    ours = Path(os.environ["LSLAPICFG"]).read_text(encoding="utf-8")
    theirs = folder / "other.cfg"
    theirs.write_text(ours.replace("SessionID = ", "SessionID = other-"), encoding="utf-8")
    spec = new_spec()
    with FaultSender(spec) as sender, Listener(spec.name, strangers=(50,)) as listener:
        sender.kill()
        with FaultSender(replace(spec, run=50), environment={"LSLAPICFG": str(theirs)}):
            listener.until(lambda: listener.runs.get(50, 0) > 100)
            listener.until(lambda: listener.problem == INVISIBLE)
            sender.restart()
            already = listener.runs[50]
            listener.until(lambda: listener.runs[50] > already + 500)
            assert listener.problem == INVISIBLE
        listener.until(lambda: listener.runs.get(1, 0) > 100 and not listener.problem)
        return listener


def test_sources_share_one_look_around_while_any_of_them_lives():
    one, other = shared_network(), shared_network()
    assert one is other
    gone = weakref.ref(one)
    del one, other
    gc.collect()
    assert gone() is None


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """All scenes with real senders, some at the same time; more would use up liblsl's ports."""
    folder = tmp_path_factory.mktemp("sessions")
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        yield {
            "changed": pool.submit(returns_changed),
            "shape": pool.submit(returns_with_other_units_and_shape),
            "twin": pool.submit(twin_takes_over),
            "frozen": pool.submit(frozen_and_thawed),
            "imitation": pool.submit(imitation_from_another_session, folder),
        }


@pytest.mark.live
@pytest.mark.xdist_group("scenes")
@pytest.mark.parametrize("scene", ["changed", "shape", "twin", *nightly("imitation")])
def test_no_stranger_is_trusted_for_a_moment(scenes, scene):
    listener = scenes[scene].result(timeout=4 * LIMIT_S)
    assert all(listener.runs.get(run, 0) > 0 for run in listener.strangers if (scene, run) != ("shape", 2))
    assert listener.trusted_strangers == 0
    assert listener.longest_pull_s < listener.limit_s()
    assert listener.longest_question_s < listener.limit_s()


@pytest.mark.live
@pytest.mark.xdist_group("scenes")
def test_a_frozen_sender_holds_nobody_up_and_stays_trusted(scenes):
    listener, took = scenes["frozen"].result(timeout=4 * LIMIT_S)
    assert max(took.values()) < listener.limit_s(), took
    assert listener.longest_pull_s < listener.limit_s()
    assert listener.longest_question_s < listener.limit_s()


def test_the_description_is_kept_as_it_was_sent():
    with FaultSender(new_spec()) as sender:
        source = LslSource(sender.spec.name, wait_s=LIMIT_S)
        assert source.description_xml == ""
        assert source.problem() == ""
        assert source.notices() == []
        source.open()
        assert f"<uid>{sender.uid}</uid>" in source.description_xml
        assert "<label>Fz</label>" in source.description_xml
        assert np.isfinite(source.info.rate_hz)
        source.close()
