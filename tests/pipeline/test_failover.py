"""Fail-over: never silent, never an old answer, never to and fro; and what two modalities say together."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.nightly import tries
from support.small_sessions import EEG_INFO, EYE_INFO, ScriptedSource, eeg, eye, pipeline

from bci_m2s.pipeline.failover import Chooser, combinations, fuse
from bci_m2s.pipeline.pipeline import run_offline
from bci_m2s.types import Chunk, Estimate, Stamps, Status

HOP_S = 0.25
NAN = math.nan


def window(modality, at_s, status=Status.OK, probabilities=(0.2, 0.8), head="emotion", reason=""):
    """An estimate of the window that ends at `at_s`; no window for STALE."""
    ok = status is Status.OK
    shares = np.array(probabilities if ok else [NAN] * len(probabilities))
    is_silent = status is Status.STALE
    index = round(at_s * 1000)
    return Estimate(
        modality=modality,
        head=head,
        first_index=index - 5000,
        last_index=index,
        start_s=NAN if is_silent else at_s - 5.0,
        end_s=NAN if is_silent else at_s,
        status=status,
        reason="" if ok else reason or f"{modality} {status.name}",
        probabilities=shares,
        confidence=float(shares.max()),
        stamps=Stamps(last_sample_s=NAN if is_silent else at_s - 0.01),
    )


def play(chooser, script):
    """Push (modality, at_s, status) in order; return (at_s, estimate) of everything that came out."""
    out = []
    for modality, at_s, status in script:
        out += [(at_s, one) for one in chooser.push([window(modality, at_s, status)], at_s)]
    return out


def steady(modality, first_s, last_s, status=Status.OK):
    """Windows every hop from first_s to last_s, both included."""
    hops = int((last_s - first_s) / HOP_S + 1e-9) + 1
    return [(modality, first_s + HOP_S * number, status) for number in range(hops)]


def merged(*scripts):
    return sorted((row for script in scripts for row in script), key=lambda row: row[1])


def auto(back_after_s=2.0, modalities=("eeg", "eye")):
    """A chooser that keeps its ``events``."""
    events = []
    chooser = Chooser("auto", modalities, HOP_S, back_after_s, emit=events.append)
    chooser.events = events
    return chooser


def moves(chooser):
    return [(event.fields["from"], event.fields["to"]) for event in chooser.events]


class TestAuto:
    def test_prefers_the_first_and_gives_one_output_a_hop(self):
        chooser = auto()
        out = play(chooser, merged(steady("eeg", 0.0, 5.0), steady("eye", 0.1, 5.1)))
        assert {one.modality for _, one in out} == {"eeg"}
        assert [at_s for at_s, _ in out] == [at_s for _, at_s, _ in steady("eeg", 0.0, 5.0)]
        assert moves(chooser) == [("", "eeg")]
        assert chooser.current == "eeg"

    def test_the_order_is_the_callers(self):
        chooser = auto(modalities=("eye", "eeg"))
        out = play(chooser, merged(steady("eeg", 0.0, 2.0), steady("eye", 0.1, 2.1)))
        # the window of the eeg came first; the eye leads from its own first window on
        assert [one.modality for _, one in out] == ["eeg", *["eye"] * 9]

    def test_a_bad_window_is_answered_at_once_by_the_others_newest(self):
        chooser = auto()
        script = merged(steady("eeg", 0.0, 2.0), steady("eye", 0.1, 3.1))
        script = [row for row in script if row[1] < 2.2] + [("eeg", 2.25, Status.BAD_SIGNAL)]
        out = play(chooser, script)
        at_s, newest = out[-1]
        assert (at_s, newest.modality, newest.end_s) == (2.25, "eye", pytest.approx(2.1))
        assert chooser.events[-1].fields == {"from": "eeg", "to": "eye", "reason": "eeg: eeg BAD_SIGNAL"}
        # that window is not given a second time; the next one is
        assert chooser.push([window("eeg", 2.5, Status.BAD_SIGNAL)], 2.5) == []
        assert [one.end_s for one in chooser.push([window("eye", 2.6)], 2.6)] == [2.6]

    @pytest.mark.parametrize("phase_s", [0.0, 0.01, 0.1, 0.2, 0.249])
    def test_a_stopped_modality_is_left_within_a_hop_of_being_overdue_by_one(self, phase_s):
        chooser = auto()
        last_s = 2.0
        script = merged(steady("eeg", 0.0, last_s), steady("eye", phase_s, 4.0 + phase_s))
        out = play(chooser, script)
        first_s = next(at_s for at_s, one in out if one.modality == "eye" and at_s > last_s)
        overdue_s = last_s + 2 * HOP_S  # it was due one hop after the last one
        assert overdue_s - 1e-9 <= first_s < overdue_s + HOP_S
        assert first_s == pytest.approx(overdue_s + phase_s)
        reason = chooser.events[-1].fields["reason"]
        assert reason == f"eeg: no window for {first_s - last_s:.2f} s"

    def test_one_late_window_is_no_stop(self):
        chooser = auto()
        script = merged(steady("eeg", 0.0, 1.0), steady("eeg", 1.45, 3.0), steady("eye", 0.2, 3.0))
        assert {one.modality for _, one in play(chooser, script)} == {"eeg"}

    def test_comes_back_after_steady_seconds(self):
        chooser = auto(back_after_s=2.0)
        script = merged(
            steady("eeg", 0.0, 1.0),
            steady("eeg", 1.25, 3.0, Status.GAP),
            steady("eeg", 3.25, 8.0),
            steady("eye", 0.1, 8.0),
        )
        out = play(chooser, script)
        back_s = next(at_s for at_s, one in out if one.modality == "eeg" and at_s > 2.0)
        assert back_s == pytest.approx(5.25)
        assert moves(chooser) == [("", "eeg"), ("eeg", "eye"), ("eye", "eeg")]

    def test_a_pause_begins_the_wait_anew(self):
        chooser = auto(back_after_s=2.0)
        script = merged(
            steady("eeg", 0.0, 1.0),
            [("eeg", 1.25, Status.GAP)],
            steady("eeg", 1.5, 3.25),
            steady("eeg", 4.0, 8.0),  # 0.75 s without a window
            steady("eye", 0.1, 8.0),
        )
        out = play(chooser, script)
        assert next(at_s for at_s, one in out if one.modality == "eeg" and at_s > 1.0) == pytest.approx(6.0)

    @pytest.mark.parametrize("good", [1, 2, 7])
    def test_a_loose_contact_does_not_flap(self, good):
        """`good` good windows, one bad one, for a minute: the first failure is the only change."""
        chooser = auto(back_after_s=2.0)
        rows = [
            (name, at_s, Status.OK if n % (good + 1) < good else Status.BAD_SIGNAL)
            for n, (name, at_s, _) in enumerate(steady("eeg", 0.0, 60.0))
        ]
        out = play(chooser, merged(rows, steady("eye", 0.1, 60.0)))
        assert moves(chooser) == [("", "eeg"), ("eeg", "eye")]
        assert all(one.status is Status.OK for _, one in out)

    def test_a_slow_loose_contact_is_bounded_by_the_wait(self):
        chooser = auto(back_after_s=2.0)
        rows = [  # 10 good windows: longer than the wait
            (name, at_s, Status.OK if n % 11 < 10 else Status.BAD_SIGNAL)
            for n, (name, at_s, _) in enumerate(steady("eeg", 0.0, 60.0))
        ]
        play(chooser, merged(rows, steady("eye", 0.1, 60.0)))
        changes = moves(chooser)
        assert 20 < len(changes) <= 2 * 60.0 / (2.0 + HOP_S) + 1

    def test_nothing_usable_gives_the_first_ones_reason_every_hop(self):
        chooser = auto()
        eeg = steady("eeg", 0.0, 4.0, Status.BASELINE)
        out = play(chooser, merged(eeg, steady("eye", 0.1, 4.1, Status.BAD_SIGNAL)))
        assert [one.reason for _, one in out] == ["eeg BASELINE"] * len(eeg)
        assert (chooser.current, moves(chooser)) == ("", [])

    def test_a_silent_first_one_leaves_the_word_to_the_second(self):
        chooser = auto()
        eye = steady("eye", 0.1, 6.1, Status.BAD_SIGNAL)
        silent = [("eeg", at_s, Status.STALE) for at_s in (1.8, 2.8, 3.8, 4.8, 5.8)]
        out = play(chooser, merged(steady("eeg", 0.0, 1.0), silent, eye))
        after = [(at_s, one) for at_s, one in out if at_s > 1.5]
        assert {one.reason for _, one in after} == {"eye BAD_SIGNAL"}
        assert len(after) == len([row for row in eye if row[1] > 1.5])

    def test_when_all_are_silent_it_is_said_once_a_second(self):
        chooser = auto()
        silent = [(name, 1.8 + second, Status.STALE) for second in range(5) for name in ("eye", "eeg")]
        play(chooser, merged(steady("eeg", 0.0, 1.0), steady("eye", 0.1, 1.1)))
        out = play(chooser, silent)
        assert [one.status for _, one in out] == [Status.STALE] * 6
        assert [one.modality for _, one in out] == ["eye", *["eeg"] * 5]  # the eye was silent first
        assert moves(chooser)[-1] == ("eeg", "")

    def test_when_the_first_one_is_not_told_of_any_more_the_second_is(self):
        chooser = auto()
        out = play(
            chooser, [("eeg", 0.0, Status.STALE), *(("eye", s, Status.STALE) for s in (0.1, 1.1, 2.1))]
        )
        assert [one.modality for _, one in out] == ["eeg", "eye"]  # 1.1 s: the eeg may speak again

    def test_never_an_old_answer_when_a_stream_returns(self):
        chooser = auto()
        play(chooser, merged(steady("eeg", 0.0, 1.0), steady("eye", 0.1, 1.1)))
        # ten seconds later only the eye comes back, first with a gap
        out = play(chooser, [("eye", 11.1, Status.GAP), ("eye", 11.35, Status.OK)])
        assert [(one.modality, one.status) for _, one in out] == [("eye", Status.GAP), ("eye", Status.OK)]

    def test_one_modality_alone_is_passed_on(self):
        chooser = auto(modalities=("eeg",))
        script = [*steady("eeg", 0.0, 1.0), ("eeg", 1.25, Status.GAP), ("eeg", 2.0, Status.STALE)]
        out = play(chooser, [*script, *steady("eeg", 2.25, 3.0)])
        assert [(at_s, one.status) for at_s, one in out] == [
            (at_s, status) for _, at_s, status in [*script, *steady("eeg", 2.25, 3.0)]
        ]

    def test_all_heads_of_a_window_move_together(self):
        chooser = auto()

        def both(modality, at_s, status=Status.OK):
            return [window(modality, at_s, status, head=head) for head in ("valence", "arousal")]

        assert [one.head for one in chooser.push(both("eeg", 0.0), 0.0)] == ["valence", "arousal"]
        assert chooser.push(both("eye", 0.1), 0.1) == []
        out = chooser.push(both("eeg", 0.25, Status.GAP), 0.25)
        assert [(one.modality, one.head) for one in out] == [("eye", "valence"), ("eye", "arousal")]


class TestFused:
    def chooser(self, **limits):
        below = {name: {"emotion": limit} for name, limit in limits.items()}
        return Chooser("fused", ("eeg", "eye"), HOP_S, unknown_below=below)

    def test_average_stamps_and_parts(self):
        chooser = self.chooser()
        eye = window("eye", 0.9, probabilities=(0.7, 0.3))
        eeg = window("eeg", 1.0, probabilities=(0.1, 0.9))
        assert chooser.push([eye], 0.9) == [eye]  # alone: its own estimate, unchanged
        (made,) = chooser.push([eeg], 1.0)
        np.testing.assert_array_equal(made.probabilities, [(0.1 + 0.7) / 2, (0.9 + 0.3) / 2])
        assert made.modality == chooser.current == "eeg+eye"
        assert made.parts == (eeg, eye)
        assert made.confidence == made.probabilities[1]
        assert made.stamps.last_sample_s == eye.stamps.last_sample_s  # the older one
        assert (made.first_index, made.last_index) == (eeg.first_index, eeg.last_index)
        assert (made.start_s, made.end_s, made.status) == (eeg.start_s, eeg.end_s, Status.OK)

    @pytest.mark.parametrize(("limit", "unknown"), [(0.59, False), (0.61, True)])
    def test_unknown_by_the_mean_of_the_limits(self, limit, unknown):
        chooser = self.chooser(eeg=limit - 0.2, eye=limit + 0.2)
        chooser.push([window("eye", 0.9, probabilities=(0.7, 0.3))], 0.9)
        (made,) = chooser.push([window("eeg", 1.0, probabilities=(0.1, 0.9))], 1.0)
        assert made.confidence == pytest.approx(0.6)
        assert made.unknown is unknown
        assert made.class_index == (-1 if unknown else 1)

    def test_an_old_or_bad_part_is_left_out(self):
        chooser = self.chooser()
        out = play(
            chooser,
            merged(
                steady("eeg", 0.0, 4.0),
                steady("eye", 0.1, 1.1),
                steady("eye", 1.35, 2.1, Status.BAD_SIGNAL),
                steady("eye", 2.35, 2.6),
            ),
        )
        made = {at_s: one.modality for at_s, one in out}
        assert len(made) == len(out) == 17  # one per window of the leader
        for at_s, modality in made.items():
            together = 0.1 < at_s < 1.35 or 2.35 < at_s < 2.6 + 2 * HOP_S
            assert modality == ("eeg+eye" if together else "eeg"), at_s

    def test_when_the_leader_fails_the_other_goes_on_alone(self):
        chooser = self.chooser()
        play(chooser, merged(steady("eeg", 0.0, 1.0), steady("eye", 0.1, 1.1)))
        out = play(chooser, [("eeg", 1.25, Status.GAP), ("eye", 1.35, Status.OK)])
        assert [(one.modality, one.end_s) for _, one in out] == [
            ("eye", pytest.approx(1.1)),
            ("eye", pytest.approx(1.35)),
        ]

    def test_each_head_is_averaged_by_itself(self):
        chooser = self.chooser()
        eye = [
            window("eye", 0.9, probabilities=p, head=h) for h, p in (("a", (0.7, 0.3)), ("b", (0.0, 1.0)))
        ]
        eeg = [
            window("eeg", 1.0, probabilities=p, head=h) for h, p in (("a", (0.1, 0.9)), ("b", (0.5, 0.5)))
        ]
        chooser.push(eye, 0.9)
        made = chooser.push(eeg, 1.0)
        assert [one.head for one in made] == ["a", "b"]
        np.testing.assert_allclose([one.probabilities for one in made], [[0.4, 0.6], [0.25, 0.75]])
        assert [[part.head for part in one.parts] for one in made] == [["a", "a"], ["b", "b"]]

    def test_fuse_gives_the_same_bits_and_leaves_its_parts_alone(self):
        rng = np.random.default_rng(3)
        shares = rng.dirichlet(np.ones(4), size=3)
        parts = [window("m", 0.0, probabilities=row) for row in shares]
        made = fuse(parts)
        np.testing.assert_array_equal(made, ((shares[0] + shares[1]) + shares[2]) / 3)
        np.testing.assert_array_equal(made, fuse(made_again(parts)))
        np.testing.assert_array_equal([part.probabilities for part in parts], shares)
        assert made.sum() == pytest.approx(1.0, abs=1e-15)

    def test_combinations(self):
        three = ("eeg", "eye", "ecg")
        assert combinations("each", three) == combinations("auto", three) == three
        unions = ("eeg+eye", "eeg+ecg", "eye+ecg", "eeg+eye+ecg")
        assert combinations("fused", three) == three + unions


def made_again(parts):
    """The same estimates as a file would give them back: shortest text of each number."""
    return [
        window("m", 0.0, probabilities=[float(repr(float(p))) for p in one.probabilities]) for one in parts
    ]


# ---- any sequence of events ----


@dataclass
class Seen:
    """An outsider's knowledge of one modality: its newest window."""

    at_s: float = -math.inf
    ok: bool = False


RUNS = st.lists(
    st.tuples(st.sampled_from(["ok", "ok", "bad", "silent"]), st.integers(1, 14)), min_size=1, max_size=8
)
STREAM = st.tuples(RUNS, st.floats(0.0, HOP_S), st.floats(0.0, 0.1))


def rows_of(modality, runs, phase_s, delay_s):
    """(when it arrives, modality, at_s, status); a silent stream is told of once a second."""
    rows, at_s, told_s = [], phase_s, -1.0
    for kind, count in runs:
        for _ in range(count):
            at_s += HOP_S
            if kind != "silent":
                rows.append(
                    (at_s + delay_s, modality, at_s, Status.OK if kind == "ok" else Status.BAD_SIGNAL)
                )
            elif at_s - told_s >= 1.0:
                told_s = at_s
                rows.append((at_s, modality, at_s, Status.STALE))
    return rows


@settings(max_examples=tries(60, 150))
@given(st.lists(STREAM, min_size=1, max_size=3), st.sampled_from(["auto", "fused"]), st.floats(0.3, 3.0))
def test_any_sequence(streams, mode, back_after_s):
    names = ("eeg", "eye", "ecg")[: len(streams)]
    script = sorted(
        row for name, stream in zip(names, streams, strict=True) for row in rows_of(name, *stream)
    )
    events = []
    chooser = Chooser(mode, names, HOP_S, back_after_s, emit=events.append)
    seen = {name: Seen() for name in names}
    now_s, newest_ok_s, given_windows = -math.inf, -math.inf, set()
    failures = outputs = 0
    for _, name, at_s, status in script:
        leader_before = chooser.current.split("+")[0]
        made = chooser.push([window(name, at_s, status)], at_s)
        now_s = max(now_s, at_s)
        seen[name] = Seen(at_s, status is Status.OK)
        usable = [n for n in names if seen[n].ok and now_s - seen[n].at_s < 2 * HOP_S - 1e-6]
        failures += bool(leader_before) and leader_before not in usable
        assert len(made) <= 1
        for one in made:
            outputs += 1
            key = (
                one.modality.split("+")[0] if mode == "auto" else one.last_index,
                one.last_index,
                one.status,
            )
            if mode == "auto":
                assert key not in given_windows, "two outputs for one window"
                given_windows.add(key)
            assert (one.status is Status.OK) == bool(usable), "an answer exactly while something is usable"
            if one.status is Status.OK:
                newest_ok_s = max(newest_ok_s, one.end_s)
                assert now_s - one.end_s < 2 * HOP_S, "an old answer"
                assert set(one.modality.split("+")) <= set(usable)
        if usable:
            assert now_s - newest_ok_s < 2 * HOP_S, "silent while a modality is usable"
        assert set(filter(None, chooser.current.split("+"))) <= set(usable)
    length_s = script[-1][0] - script[0][0] if script else 0.0
    changes = len(events)
    # every change has a cause: a leader failed, the first lead of a modality, something usable after
    # nothing was, or a return, which takes its time
    assert mode == "fused" or changes <= 2 * failures + len(names) + len(names) * length_s / back_after_s
    assert outputs <= len(script)


# ---- with a real pipeline ----


def chunks_of(times, samples, most, rng):
    """A stream in chunks of one to `most` samples."""
    cuts = np.cumsum(rng.integers(1, most + 1, size=len(times)))
    cuts = cuts[cuts < len(times)]
    return [Chunk.of(*pair) for pair in zip(np.split(times, cuts), np.split(samples, cuts), strict=True)]


@cache  # two tests look at the same one
def session_with_an_outage(mode, seed):
    """Everything that comes out of 30 s in which the EEG is gone from 14 s to 17 s."""
    rng = np.random.default_rng(seed)
    times, samples = eeg(30.0)
    there = (times < 1014.0) | (times >= 1017.0)
    made = {
        "eeg": ScriptedSource(EEG_INFO, chunks_of(times[there], samples[there], 1 + 700 * seed, rng)),
        "eye": ScriptedSource(EYE_INFO, chunks_of(*eye(30.0), 500, rng)),
    }
    runs = pipeline({"eeg": EEG_INFO, "eye": EYE_INFO}, mode)
    estimates = list(run_offline(runs, made))
    return estimates, [event for event in runs.emitted if event.kind == "failover"]


@pytest.mark.parametrize("mode", ["auto", "fused"])
def test_an_outage_of_the_preferred_stream(mode):
    estimates, events = session_with_an_outage(mode, 1)
    answers = [one for one in estimates if one.status is Status.OK]
    first = next(number for number, one in enumerate(estimates) if one.status is Status.OK)
    assert len(answers) == len(estimates[first:])  # from the first one on, never without an answer
    steps_s = np.diff([one.end_s for one in answers])
    assert steps_s.max() < 3 * HOP_S
    together = "eeg+eye" if mode == "fused" else "eeg"
    by_time = {one.end_s - 1000: one.modality for one in answers}
    assert {name for end_s, name in by_time.items() if 12.1 < end_s < 14.0} == {together}
    assert {name for end_s, name in by_time.items() if 14.1 < end_s < 24.0} == {"eye"}
    assert answers[-1].modality == together
    assert [(event.fields["from"], event.fields["to"]) for event in events] == [
        ("", "eeg"),
        ("eeg", "eye"),
        ("eye", "eeg"),
    ]


@pytest.mark.parametrize("mode", ["auto", "fused"])
def test_chunks_of_a_recording_do_not_matter(mode):
    """Down to single samples and up to seconds: the same estimates to the bit."""
    runs = [session_with_an_outage(mode, seed)[0] for seed in range(tries(2, 3))]
    facts = [[(one.modality, one.last_index, one.probabilities.tobytes()) for one in run] for run in runs]
    assert len(facts[0]) > 80
    assert all(fact == facts[0] for fact in facts[1:])
