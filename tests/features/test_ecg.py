"""Heart beats and heart-rate features against known intervals, by-hand formulas and another library."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.body_signals import beat_times, ecg_of
from support.nightly import nightly, often, tries

from bci_m2s.errors import ContractError
from bci_m2s.features.ecg import NAMES, Electrocardiogram, respiratory_rms, rr_measures
from bci_m2s.features.ecg_beats import BeatDetector
from bci_m2s.types import Step

Array = NDArray[np.float64]
HOP_S = 0.25


def extractor(rate_hz: float = 500.0, step_s: float = 1.0, hop_s: float = HOP_S, **params: Any) -> Any:
    """Build one for a stream with a single channel."""
    return Electrocardiogram(params, ("ECG",), rate_hz, step_s, hop_s)


def blocks(samples: Array, rate_hz: float, hop_s: float) -> list[Array]:
    """Cut as the pipeline cuts: whole blocks only."""
    edges = [int(k * hop_s * rate_hz + 1e-6) for k in range(int(len(samples) / (hop_s * rate_hz)) + 1)]
    return [samples[edges[k] : edges[k + 1]] for k in range(len(edges) - 1)]


def feed(ecg: Any, samples: Array, rate_hz: float = 500.0, hop_s: float = HOP_S) -> list[Step | None]:
    """Push a channel's samples (n,), NaN where lost."""
    return [ecg.push(block[:, None], np.isnan(block)[:, None]) for block in blocks(samples, rate_hz, hop_s)]


def beats_of(samples: Array, rate_hz: float, hop_s: float = HOP_S) -> Array:
    """R peaks that the detector finds, s."""
    detector = BeatDetector(rate_hz, hop_s)
    beats = [
        beat for block in blocks(samples, rate_hz, hop_s) for beat in detector.push(block, block != block)
    ]
    return np.array([beat.position for beat in beats]) / rate_hz


def named(step: Step | None) -> dict[str, float]:
    """A good step's values by name."""
    assert step is not None
    assert step.problem == ""
    return dict(zip(NAMES, step.values.tolist(), strict=True))


def matched(found_s: Array, true_s: Array, within_s: float) -> float:
    """Share of the true beats that have a found one close by."""
    return float(np.mean(np.abs(found_s[:, None] - true_s).min(axis=0) <= within_s))


@pytest.mark.parametrize("rate_hz", [125.0, *nightly(250.0, 500.0), 1000.0])
@pytest.mark.parametrize("rate_bpm", [42.0, *nightly(75.0), 175.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_beats_are_found_and_nothing_else(rate_hz: float, rate_bpm: float, sign: float) -> None:
    """Slow and fast hearts, noise of 8 % and wander of half of R, both ways up: 99 % to 15 ms."""
    true_s = beat_times(80, rate_bpm, respiration_s=0.01)
    signal = sign * ecg_of(true_s, 80, rate_hz, noise=0.08, wander=0.5)
    found_s = beats_of(signal, rate_hz)
    nearest = np.abs(found_s[:, None] - true_s).argmin(axis=0)
    delay_s = float(np.median(found_s[nearest] - true_s))  # the filter's own, the same for all
    assert 0 <= delay_s < 0.04
    known = true_s[(true_s > 1) & (true_s < 79)]
    assert matched(found_s - delay_s, known, 0.015) >= 0.99
    inner = found_s[(found_s > 1) & (found_s < 79)] - delay_s
    assert matched(true_s, inner, 0.015) >= 0.99


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("rate_hz", [128.0, *nightly(500.0)])
def test_features_are_those_of_the_true_intervals(rate_hz: float, sign: float) -> None:
    """Formulas written anew on the true intervals of the window; the sample grid does not show."""
    true_s = beat_times(60, 72.0)
    step = feed(extractor(rate_hz, window_s=20.0), sign * ecg_of(true_s, 60, rate_hz, noise=0.01), rate_hz)[
        -1
    ]
    got = named(step)
    ends_s = true_s[true_s < 59.6]  # later ones cannot be known yet
    rr_ms = 1000 * np.diff(ends_s)[ends_s[1:] > 40.0 - 0.02]
    steps_ms = rr_ms[1:] - rr_ms[:-1]
    mean_ms = sum(rr_ms) / len(rr_ms)
    sdnn_ms = (sum((rr_ms - mean_ms) ** 2) / (len(rr_ms) - 1)) ** 0.5
    sd2_ms = np.std((rr_ms[1:] + rr_ms[:-1]) / 2**0.5)  # the Poincaré plot turned by 45 degrees
    assert got["rr_mean_ms"] == pytest.approx(mean_ms, rel=0.005)
    assert got["heart_rate_bpm"] == pytest.approx(60_000 / mean_ms, rel=0.005)
    assert got["sdnn_ms"] == pytest.approx(sdnn_ms, abs=2)
    assert got["rmssd_ms"] == pytest.approx((sum(steps_ms**2) / len(steps_ms)) ** 0.5, abs=2)
    assert got["pnn50_percent"] == pytest.approx(100 * sum(abs(steps_ms) > 50) / len(steps_ms), abs=6)
    assert got["sd2_ms"] == pytest.approx(sd2_ms, rel=0.2, abs=2)
    assert got["cv_percent"] == pytest.approx(100 * sdnn_ms / mean_ms, abs=0.3)
    assert got["heart_rate_min_bpm"] == pytest.approx(60_000 / max(rr_ms), rel=0.01)
    assert got["heart_rate_max_bpm"] == pytest.approx(60_000 / min(rr_ms), rel=0.01)
    # 30 ms at 0.25 Hz in the intervals, of which the last 10 ms are chance.
    assert got["rr_respiration_ms"] == pytest.approx(30 / 2**0.5, rel=0.2)


def test_measures_of_a_few_intervals_by_hand() -> None:
    """800, 900, 800, 840 ms, worked out on paper."""
    rr_s = np.array([0.8, 0.9, 0.8, 0.84])
    got = rr_measures(rr_s, np.cumsum(rr_s), np.diff(rr_s))
    assert got[1] == pytest.approx(835.0)
    assert got[2] == pytest.approx(np.sqrt((35**2 + 65**2 + 35**2 + 5**2) / 3))
    assert got[3] == pytest.approx(np.sqrt((100**2 + 100**2 + 40**2) / 3))
    assert got[4] == pytest.approx(200 / 3)
    assert got[6] == pytest.approx(100 * got[2] / 835.0)
    assert got[7] == pytest.approx(60 / 0.9)
    assert got[8] == pytest.approx(75.0)


def test_slope_and_respiration() -> None:
    """A heart that speeds up; a breath in uneven intervals; a straight line is no breath."""
    end_s = np.cumsum(np.linspace(1.0, 0.8, 18))
    rate = 60 + 0.7 * end_s
    got = rr_measures(60 / rate, end_s, np.diff(60 / rate))
    assert got[9] == pytest.approx(0.7)
    time_s = end_s - end_s.mean()
    assert respiratory_rms(500 + 9 * time_s, time_s) == pytest.approx(0.0, abs=1e-6)
    wave = 40 * np.sin(2 * np.pi * 0.25 * end_s) + 9 * time_s
    # A line through part of a wave takes a little of it away.
    assert respiratory_rms(wave, time_s) == pytest.approx(40 / np.sqrt(2), rel=0.1)


def test_amplitude_is_a_logarithm_of_r() -> None:
    """Twice the gain is ln 2 more, upside down is the same, and no other feature moves."""
    signal = ecg_of(beat_times(40), 40, 500.0, noise=0.02)
    plain, double, inverted = (feed(extractor(), gain * signal)[-1] for gain in (1.0, 2.0, -1.0))
    assert named(plain)["r_amplitude_ln"] == pytest.approx(np.log(1000), abs=0.5)
    assert named(double)["r_amplitude_ln"] - named(plain)["r_amplitude_ln"] == pytest.approx(np.log(2))
    for other in (double, inverted):
        np.testing.assert_allclose(list(named(other).values())[:-1], list(named(plain).values())[:-1])
    assert named(inverted)["r_amplitude_ln"] == pytest.approx(named(plain)["r_amplitude_ln"])


def test_an_extra_and_a_missing_beat_are_rejected() -> None:
    """They would triple RMSSD; without them it stays what it is."""
    clean_s = beat_times(40, 70.0)
    at = int(np.searchsorted(clean_s, 30.0))
    extra_s = np.insert(clean_s, at, clean_s[at - 1] + 0.35)
    without_s = np.delete(clean_s, at)
    expected = named(feed(extractor(), ecg_of(clean_s, 40, 500.0))[-1])
    for changed_s in (extra_s, without_s):
        got = named(feed(extractor(), ecg_of(changed_s, 40, 500.0))[-1])
        assert got["rmssd_ms"] == pytest.approx(expected["rmssd_ms"], abs=8)
        assert got["rr_mean_ms"] == pytest.approx(expected["rr_mean_ms"], rel=0.02)
        assert got["heart_rate_max_bpm"] < 90
    loose = named(feed(extractor(rr_tolerance=1.0), ecg_of(extra_s, 40, 500.0))[-1])
    assert loose["rmssd_ms"] > 3 * expected["rmssd_ms"]


def test_losses_are_bridged_or_left_out() -> None:
    """Lone lost samples change next to nothing; two seconds leave the other intervals as they are."""
    signal = ecg_of(beat_times(60), 60, 500.0, noise=0.01, wander=0.3)
    expected = named(feed(extractor(), signal)[-1])
    sparse = signal.copy()
    sparse[np.random.default_rng(4).random(len(signal)) < 0.02] = np.nan
    got = named(feed(extractor(), sparse)[-1])
    assert got["rmssd_ms"] == pytest.approx(expected["rmssd_ms"], abs=2)
    hole = signal.copy()
    hole[25_000:26_000] = np.nan
    hole[26_000:] += 1e5  # the electrode came back with another offset
    steps = feed(extractor(), hole)
    assert steps[206] is not None
    assert steps[206].problem == "ECG: 100 % of the step's samples lost"
    assert np.isnan(steps[206].values).all()
    after = named(steps[-1])
    assert after["rmssd_ms"] == pytest.approx(expected["rmssd_ms"], abs=8)
    assert after["heart_rate_bpm"] == pytest.approx(expected["heart_rate_bpm"], rel=0.03)
    assert after["r_amplitude_ln"] == pytest.approx(expected["r_amplitude_ln"], abs=0.02)


@pytest.mark.parametrize("made_up", [0.0, 1e8])
def test_what_a_loss_holds_does_not_matter(made_up: float) -> None:
    """The value of a sample that is marked as missing is never looked at."""
    signal = ecg_of(beat_times(30), 30, 500.0, noise=0.02)
    lost = np.random.default_rng(1).random(len(signal)) < 0.1
    lost[9_000:9_400] = True
    expected, got = extractor(), extractor()
    filled = np.where(lost, made_up, signal)
    for start in range(0, len(signal), 125):
        part = slice(start, start + 125)
        step = expected.push(np.where(lost, np.nan, signal)[part, None], lost[part, None])
        other = got.push(filled[part, None], lost[part, None])
        assert (step is None) == (other is None)
        if step is not None and other is not None:
            np.testing.assert_array_equal(step.values, other.values)


@pytest.mark.parametrize("kind", ["noise", "flat", "stopped", "wandering"])
def test_what_is_no_heart_gives_no_value(kind: str) -> None:
    """A fallen electrode must not have a heart rate."""
    rng = np.random.default_rng(3)
    n = 40 * 500
    signal = {
        "noise": rng.normal(0, 300, n),
        "flat": np.full(n, 12.5),
        "stopped": np.append(ecg_of(beat_times(30), 30, 500.0), rng.normal(0, 1e-3, 5000)),
        "wandering": np.cumsum(rng.normal(0, 5, n)),
    }[kind]
    steps = feed(extractor(), signal)[-12:]
    unknown = [
        step is not None and bool(np.isnan(step.values).all()) and bool(step.problem) for step in steps
    ]
    assert all(unknown)


def test_a_weaker_contact_is_learnt() -> None:
    """R falls to a tenth and rises to ten times: both are followed within the window."""
    signal = ecg_of(beat_times(90), 90, 500.0, noise=0.002)
    signal[15_000:30_000] *= 0.1
    signal[30_000:] *= 10
    steps = feed(extractor(), signal)
    for at_s in (28.0, 55.0, 85.0):
        assert named(steps[int(4 * at_s)])["heart_rate_bpm"] == pytest.approx(70, abs=3)


@pytest.mark.parametrize(("rate_hz", "step_s", "hop_s"), [(250.0, 1.0, 0.25), (500.0, 4.0, 1.0)])
def test_settling_time_is_honest(rate_hz: float, step_s: float, hop_s: float) -> None:
    """The first step that may be used has the values of a run that began long before."""
    for seed in range(tries(1, 4)):
        signal = ecg_of(beat_times(80, seed=seed), 80, rate_hz, noise=0.05, wander=0.3, seed=seed)
        ecg = extractor(rate_hz, step_s, hop_s)
        assert ecg.settle_s < 20
        position = int(np.ceil(ecg.settle_s / hop_s)) + round(step_s / hop_s) - 1
        start = 40 + seed
        signal = signal[: int((start + (position + 2) * hop_s) * rate_hz)]
        long = feed(extractor(rate_hz, step_s, hop_s), signal, rate_hz, hop_s)
        fresh = feed(ecg, signal[int(start * rate_hz) :], rate_hz, hop_s)[position]
        expected = list(named(long[position + round(start / hop_s)]).values())
        np.testing.assert_allclose(list(named(fresh).values()), expected, rtol=0.01, atol=0.5)


def test_beats_do_not_depend_on_the_hop() -> None:
    """Blocks of 50 ms and of 1 s: the same R peaks."""
    signal = ecg_of(beat_times(60), 60, 250.0, noise=0.05, wander=0.3)
    short, other = beats_of(signal, 250.0, 0.052), beats_of(signal, 250.0, 1.0)
    n = min(len(short), len(other))
    assert n > 65
    np.testing.assert_allclose(short[:n], other[:n], atol=1e-6)


def test_a_push_takes_a_millisecond() -> None:
    """At 500 Hz, on a processor that does other things as well: the fastest of three runs."""
    signal = ecg_of(beat_times(30), 30, 500.0, noise=0.05)
    ecg, taken_s = extractor(), []
    for _ in range(3):
        ecg.reset()
        begun = time.process_time()
        n = len(feed(ecg, signal))
        taken_s.append((time.process_time() - begun) / n)
    assert min(taken_s) < 0.002  # 0.6 ms on a free core


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"windows_s": 10}, "windows_s: got 10, expected a known parameter; nearest: 'window_s'"),
        ({"window_s": 5}, "window_s: got 5, expected a number from 8 to 300"),
        ({"window_s": True}, "window_s: got True, expected a number from 8 to 300"),
        ({"rr_tolerance": "0.3"}, "rr_tolerance: got '0.3', expected a number from 0.05 to 1"),
        ({"min_covered": float("nan")}, "min_covered: got nan, expected a number from 0.1 to 1"),
        ({"channel": "EKG"}, "channel: got 'EKG', expected one channel of the stream; nearest: 'ECG'"),
    ],
)
def test_refusals(params: dict[str, Any], expected: str) -> None:
    """One line that names field, got and expected."""
    with pytest.raises(ContractError) as caught:
        extractor(**params)
    assert str(caught.value).startswith(f"feature ecg: {expected}")


@pytest.mark.parametrize(
    ("rate_hz", "step_s", "hop_s", "field"),
    [
        (64.0, 1.0, 0.25, "rate_hz"),
        (1e4, 1.0, 0.25, "rate_hz"),
        (500.0, 1.0, 0.3, "step_s"),
        (500.0, 16.0, 1.0, "window_s"),
    ],
)
def test_impossible_timing(rate_hz: float, step_s: float, hop_s: float, field: str) -> None:
    """Rates that the filters cannot serve, steps that are no whole number of hops, short windows."""
    with pytest.raises(ContractError) as caught:
        extractor(rate_hz, step_s, hop_s)
    assert caught.value.field == field


def test_one_of_several_channels() -> None:
    """It must be named, and then the others do not matter."""
    with pytest.raises(ContractError, match=r"channel: got None, expected one channel of the stream"):
        Electrocardiogram({}, ("a", "b"), 500.0, 1.0, 0.25)
    signal = ecg_of(beat_times(30), 30, 500.0)
    both = np.column_stack((np.full(len(signal), np.nan), signal))
    ecg = Electrocardiogram({"channel": "b"}, ("a", "b"), 500.0, 1.0, 0.25)
    steps = [ecg.push(block, np.isnan(block)) for block in np.split(both, len(both) // 125)]
    assert named(steps[-1]) == named(feed(extractor(), signal)[-1])


def real_ecg(folder: Path, name: str) -> Array:
    """The ECG channel of an EEGMAT recording, microvolts, 500 Hz."""
    mne = pytest.importorskip("mne")
    file = folder / "eegmat" / f"{name}.edf"
    if not file.exists():
        pytest.skip(f"no {file.name} of EEGMAT at {file.parent}")
    return 1e6 * mne.io.read_raw_edf(file, verbose="error").get_data(picks=["ECG ECG"])[0]


REAL = [
    "Subject00_1",
    "Subject01_2",
    "Subject04_2",
    "Subject05_2",
    "Subject09_1",
    "Subject10_2",
    "Subject17_2",
]
OF_EVERY_RUN = ("Subject01_2", "Subject09_1")  # the hardest, and a usual one


@pytest.mark.parametrize("name", often(REAL, OF_EVERY_RUN))
def test_real_beats_agree_with_another_library(shared_data: Path, name: str) -> None:
    """sleepecg's detector on whole recordings; its beats are on the R wave to 0.1 s."""
    sleepecg = pytest.importorskip("sleepecg")
    signal = real_ecg(shared_data, name)
    theirs_s = sleepecg.detect_heartbeats(signal, 500.0) / 500.0
    ours_s = beats_of(signal, 500.0)
    end_s = len(signal) / 500.0
    inner = (theirs_s > 3) & (theirs_s < end_s - 3)
    assert matched(ours_s, theirs_s[inner], 0.1) >= (0.95 if name == "Subject01_2" else 0.98)
    inner = (ours_s > 3) & (ours_s < end_s - 3)
    assert matched(theirs_s, ours_s[inner], 0.1) >= 0.98


@pytest.mark.parametrize("name", often(REAL, OF_EVERY_RUN))
def test_real_heart_rates_are_plausible(shared_data: Path, name: str) -> None:
    """40 to 180 beats per minute wherever there is a value, and there is one nearly everywhere."""
    ecg = extractor()
    steps = feed(ecg, real_ecg(shared_data, name))[int(np.ceil(ecg.settle_s / HOP_S)) + 3 :]
    known = np.array([step.values for step in steps if step is not None and not step.problem])
    assert len(known) > 0.95 * len(steps)
    assert known[:, NAMES.index("heart_rate_min_bpm")].min() > 40
    assert known[:, NAMES.index("heart_rate_max_bpm")].max() < 180
    assert np.isfinite(known).all()


@pytest.mark.parametrize("name", ["Subject02_1", "Subject13_1"])
def test_real_channels_without_a_heart_are_refused(shared_data: Path, name: str) -> None:
    """Two of the recordings hold noise where the ECG should be."""
    ecg = extractor()
    steps = feed(ecg, real_ecg(shared_data, name))[80:]
    unknown = [step is not None and step.problem != "" for step in steps]
    assert all(unknown)
