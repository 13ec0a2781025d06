"""The 33 eye-movement features: steps computed by hand, losses, settling, refusals."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import signal
from support.nightly import nightly, tries

from bci_m2s.errors import ContractError
from bci_m2s.features.eye import EyeMovements
from bci_m2s.features.eye_pupil import SlowBands
from bci_m2s.types import BoolArray, FloatArray, Step

LABELS = ("x", "y", "left", "right", "sure")
COLUMNS = {"gaze_x": "x", "gaze_y": "y", "pupil_x": "left", "pupil_y": "right", "confidence": "sure"}
PARAMS: dict[str, Any] = {"columns": COLUMNS, "gaze_unit": "degrees"}
BANDS = ((0.05, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 1.0))
ENTROPIES = [2, 3, 4, 5, 8, 9, 10, 11]
NAMES = [
    *("pupil_x_mean", "pupil_x_std"),
    *("pupil_x_de_0-0.2hz", "pupil_x_de_0.2-0.4hz", "pupil_x_de_0.4-0.6hz", "pupil_x_de_0.6-1hz"),
    *("pupil_y_mean", "pupil_y_std"),
    *("pupil_y_de_0-0.2hz", "pupil_y_de_0.2-0.4hz", "pupil_y_de_0.4-0.6hz", "pupil_y_de_0.6-1hz"),
    *("dispersion_x_mean", "dispersion_x_std", "dispersion_y_mean", "dispersion_y_std"),
    *("fixation_duration_mean", "fixation_duration_std"),
    *("blink_duration_mean", "blink_duration_std"),
    *("saccade_duration_mean", "saccade_duration_std"),
    *("saccade_amplitude_mean", "saccade_amplitude_std"),
    *("blink_frequency", "fixation_frequency", "fixation_duration_longest"),
    *("fixation_dispersion_total", "fixation_dispersion_largest", "saccade_frequency"),
    *("saccade_duration_average", "saccade_amplitude_average", "saccade_latency_average"),
]


def eye(rate_hz: float = 120.0, step_s: float = 1.0, hop_s: float = 0.25, **params: Any) -> EyeMovements:
    """Build the extractor with `params` over the usual ones."""
    return EyeMovements({**PARAMS, **params}, LABELS, rate_hz, step_s, hop_s)


def feed(extractor: EyeMovements, samples: FloatArray, rate_hz: float, hop_s: float) -> list[Step | None]:
    """Push whole blocks as the pipeline cuts them; return what each gave."""
    edges = [int(k * hop_s * rate_hz + 1e-6) for k in range(int(len(samples) / (hop_s * rate_hz)) + 1)]
    blocks = [samples[start:stop] for start, stop in pairwise(edges)]
    return [extractor.push(block, np.isnan(block)) for block in blocks]


def values_of(steps: list[Step | None]) -> FloatArray:
    """Values of the steps that are there: (steps, F)."""
    return np.array([step.values for step in steps if step is not None])


def recording(rate_hz: float, length_s: float, seed: int = 0) -> FloatArray:
    """Fixations, saccades, a blink every 2.7 s, pupils of 1/f² power, in degrees and mm: (n, 5)."""
    return _made(rate_hz, length_s, seed).copy()


@cache
def _made(rate_hz: float, length_s: float, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    n = int(rate_hz * length_s)
    times = np.arange(n) / rate_hz
    out = np.zeros((n, 5))
    out[:, 4] = 0.9
    now, here = 0.4, np.zeros(2)
    while now < length_s:
        there = rng.normal(0, 5, 2)
        u = np.clip((times - now) / (0.021 + 0.0022 * np.linalg.norm(there - here)), 0, 1)
        out[:, :2] += (u**3 * (10 - 15 * u + 6 * u**2))[:, None] * (there - here)
        here, now = there, now + rng.uniform(0.2, 0.7)
    shapes = rng.normal(size=(2, 2, int(2 * length_s)))  # up to 2 Hz, the same at every rate
    for column in (2, 3):
        out[:, column] = 3.5
        for k, (sine, cosine) in enumerate(shapes[column - 2].T, start=1):
            phase = 2 * np.pi * k / length_s * times
            out[:, column] += 0.5 / k * (sine * np.sin(phase) + cosine * np.cos(phase))
    out[:, :2] += rng.normal(0, 0.03, (n, 2))
    for begin_s in np.arange(1.3, length_s - 1, 2.7):
        out[int(begin_s * rate_hz) : int((begin_s + 0.2) * rate_hz), :4] = np.nan
    return out


def entropy(power: float | FloatArray) -> Any:
    """Differential entropy of a Gaussian with this variance."""
    return 0.5 * np.log(2 * np.pi * np.e * power)


def test_names() -> None:
    """The list of the SEED data sets, and the 31 of SEED-IV."""
    assert list(eye().names) == NAMES
    assert len(NAMES) == 33
    without = eye(blink_duration=False)
    assert list(without.names) == [name for name in NAMES if not name.startswith("blink_duration")]
    steps = values_of(feed(without, recording(120.0, 10.0), 120.0, 0.25))
    whole = values_of(feed(eye(), recording(120.0, 10.0), 120.0, 0.25))
    np.testing.assert_array_equal(steps, np.delete(whole, [18, 19], axis=1))


def cycle_by_hand() -> FloatArray:
    """Four seconds at 100 Hz: gaze (400, 2) with three saccades, a blink and two slow drifts."""
    x, y = np.zeros(400), np.zeros(400)
    x[100:102], x[102:] = (2.0, 4.0), 6.0  # saccade of 6 degrees; fast at samples 99 to 102
    x[120:160] += np.linspace(0.01, 0.4, 40)  # drift of 1 deg/s
    x[160:] += 0.4
    y[200:203], y[203:] = (1.0, 2.0, 3.0), 4.0  # 4 degrees up; fast at 199 to 203
    y[300:320] += np.linspace(0.01, 0.2, 20)
    y[320:] += 0.2
    x[350:354], x[354:] = 6.4 * np.array([0.8, 0.6, 0.4, 0.2]), 0.0  # back to where it began;
    y[350:354], y[354:] = 4.2 * np.array([0.8, 0.6, 0.4, 0.2]), 0.0  # fast at 349 to 354
    x[250:270] = y[250:270] = np.nan  # blink
    return np.column_stack((x, y))


def test_steps_by_hand() -> None:
    """A scene of 4 s, repeated: every step holds the same events, each value worked out by hand."""
    rate_hz, cycles = 100.0, 12
    n = 400 * cycles
    times = np.arange(n) / rate_hz
    pupil = np.column_stack(
        (3 + 0.2 * np.sin(2 * np.pi * 0.5 * times), 4 + 0.1 * np.cos(2 * np.pi * 0.25 * times))
    )
    samples = np.column_stack((np.tile(cycle_by_hand(), (cycles, 1)), pupil, np.ones(n)))
    step = feed(eye(rate_hz, step_s=4.0, hop_s=1.0), samples, rate_hz, 1.0)[-1]
    assert step is not None
    assert step.problem == ""
    got = dict(zip(NAMES, step.values, strict=True))

    # The fixation that goes on when the step ends is known up to one sample before the last.
    fixation_s = np.array([1.44, 0.96, 0.46, 0.79, 0.44])
    width, height = np.array([0, 0.4, 0, 0, 0]), np.array([0, 0, 0, 0.2, 0])
    saccade_s = np.array([0.04, 0.05, 0.06])
    amplitude = np.array([6.0, 4.0, np.hypot(6.4, 4.2)])
    expected = {
        "dispersion_x_mean": 0.08,
        "dispersion_x_std": width.std(),
        "dispersion_y_mean": 0.04,
        "dispersion_y_std": height.std(),
        "fixation_duration_mean": 0.818,
        "fixation_duration_std": fixation_s.std(),
        "blink_duration_mean": 0.2,
        "blink_duration_std": 0.0,
        "saccade_duration_mean": 0.05,
        "saccade_duration_std": saccade_s.std(),
        "saccade_amplitude_mean": amplitude.mean(),
        "saccade_amplitude_std": amplitude.std(),
        "blink_frequency": 0.25,
        "fixation_frequency": 1.0,
        "fixation_duration_longest": 1.44,
        "fixation_dispersion_total": 0.6,
        "fixation_dispersion_largest": 0.4,
        "saccade_frequency": 0.75,
        "saccade_duration_average": 0.05,
        "saccade_amplitude_average": amplitude.mean(),
        "saccade_latency_average": (1.44 + 0.96 + 1.45) / 3,
    }
    for axis, diameter in zip("xy", pupil.T, strict=True):
        lost = np.isnan(samples[:, 0])
        near = np.convolve(lost, np.ones(11), mode="same") > 0  # 50 ms on each side
        last = slice(n - 405, n - 5)  # pupil values lag 50 ms
        expected[f"pupil_{axis}_mean"] = diameter[last][~near[last]].mean()
        expected[f"pupil_{axis}_std"] = diameter[last][~near[last]].std()
        held = diameter[np.maximum.accumulate(np.where(near, 0, np.arange(n)))]
        for name, power in zip(NAMES[2:6], whole_band_power(held, rate_hz, last), strict=True):
            assert got.pop(name.replace("_x_", f"_{axis}_")) == pytest.approx(entropy(power), abs=0.06)
    assert got == pytest.approx(expected, abs=1e-9)


def whole_band_power(diameter: FloatArray, rate_hz: float, part: slice) -> list[float]:
    """Mean square in each band, by filters over all samples at the full rate."""
    powers = []
    for order, band in zip((1, 2, 2, 2), BANDS, strict=True):
        sections = signal.bessel(order, band, "bandpass", fs=rate_hz, norm="mag", output="sos")
        powers.append(float(np.mean(signal.sosfilt(sections, diameter - diameter[0])[part] ** 2)))
    return powers


@pytest.mark.parametrize("rate_hz", [30.0, *nightly(120.0, 1000.0), 2000.0])
@pytest.mark.parametrize(("band", "frequency_hz"), [(0, 0.1), (1, 0.3), (2, 0.5), (3, 0.8)])
def test_entropy_of_a_sinusoid(rate_hz: float, band: int, frequency_hz: float) -> None:
    """½ ln(2πe A²/2) in its own band over whole periods, less elsewhere."""
    times = np.arange(int(60 * rate_hz)) / rate_hz
    samples = np.ones((len(times), 5))
    samples[:, 2] = 4 + 0.1 * np.sin(2 * np.pi * frequency_hz * times)
    samples[:, 3] = 4 + 0.2 * np.sin(2 * np.pi * frequency_hz * times)
    step = feed(eye(rate_hz, step_s=10.0, hop_s=5.0), samples, rate_hz, 5.0)[-1]
    assert step is not None
    for amplitude, found in ((0.1, step.values[2:6]), (0.2, step.values[8:12])):
        assert found[band] == pytest.approx(entropy(amplitude**2 / 2), abs=0.03)
        assert np.all(np.delete(found, band) < found[band] - 0.5)


def test_blocks_of_filters_equal_the_whole() -> None:
    """The matrix of a block is the filter itself: same squares as one pass over all bins."""
    bins = np.random.default_rng(5).normal(size=(160, 2))
    bands = SlowBands(((0.0, 0.2), *BANDS[1:]), 0.05, 0.25)
    got = np.array([bands.squares(bins[k : k + bands.bins]) for k in range(0, 160, bands.bins)])
    for place, (order, band) in enumerate(zip((1, 2, 2, 2), BANDS, strict=True)):
        sections = signal.bessel(order, band, "bandpass", fs=16.0, norm="mag", output="sos")
        whole = signal.sosfilt(sections, bins, axis=0) ** 2
        np.testing.assert_allclose(got[:, :, place], whole.reshape(40, 4, 2).sum(axis=1), rtol=1e-9)


@pytest.mark.parametrize("code", [0.0, *nightly(-1.0, 1e8), 99999.9, np.inf])
@pytest.mark.parametrize("rounded", [False, True])
def test_every_loss_code_means_the_same(code: float, rounded: bool) -> None:
    """NaN and a declared code, also as float32 rounds it: equal steps."""
    clean = recording(120.0, 12.0)
    coded = np.where(np.isnan(clean), np.float64(np.float32(code)) if rounded else code, clean)
    declared = [code] if np.isfinite(code) else []
    got = values_of(feed(eye(loss_values=declared), coded, 120.0, 0.25))
    np.testing.assert_array_equal(got, _with_nan())


@pytest.mark.parametrize("confidence", [0.59, np.nan])
@pytest.mark.parametrize("declared", [[], [0.0]])
def test_low_confidence_means_the_same_as_a_loss(confidence: float, declared: list[float]) -> None:
    clean = recording(120.0, 12.0)
    doubted = np.where(np.isnan(clean), 1.0, clean)
    doubted[np.isnan(clean[:, 0]), 4] = confidence
    got = values_of(feed(eye(loss_values=declared), doubted, 120.0, 0.25))
    np.testing.assert_array_equal(got, _with_nan())


@cache
def _with_nan() -> FloatArray:
    return values_of(feed(eye(), recording(120.0, 12.0), 120.0, 0.25))


def test_undeclared_codes_of_gaze_are_no_gaze() -> None:
    """Nobody looks 180 degrees away; and one coordinate is enough to lose the sample."""
    clean = recording(120.0, 12.0)
    coded = clean.copy()
    coded[np.isnan(clean[:, 0]), :2] = 0.0
    coded[np.isnan(clean[:, 0]), 1] = 1e6
    coded[np.isnan(clean[:, 0]), 2:4] = 9.0
    np.testing.assert_array_equal(
        values_of(feed(eye(), coded, 120.0, 0.25)), values_of(feed(eye(), clean, 120.0, 0.25))
    )


def test_missing_marks_are_obeyed() -> None:
    """A sample that the pipeline marks is lost, whatever its value."""
    clean = recording(120.0, 12.0)
    filled = np.where(np.isnan(clean), 2.0, clean)
    one, other = eye(), eye()
    for start in range(0, len(clean), 30):
        block = slice(start, start + 30)
        marks: BoolArray = np.isnan(clean[block])
        first, second = one.push(clean[block], marks), other.push(filled[block], marks)
        if first is not None and second is not None:
            np.testing.assert_array_equal(first.values, second.values)


def test_units_of_gaze() -> None:
    """Normalized and pixels become degrees; without a confidence column no sample is doubted."""
    degrees = recording(120.0, 12.0)
    expected = values_of(feed(eye(), degrees, 120.0, 0.25))
    for unit, scale in (("normalized", (35.0, 20.0)), ("pixels", (0.02, 0.025))):
        scaled = degrees.copy()
        scaled[:, :2] /= scale
        scaled[:, 4] = 0.0
        extractor = eye(
            gaze_unit=unit,
            degrees_per_unit_x=scale[0],
            degrees_per_unit_y=scale[1],
            columns={**COLUMNS, "confidence": None},
        )
        np.testing.assert_allclose(values_of(feed(extractor, scaled, 120.0, 0.25)), expected, atol=1e-9)


def test_columns_are_taken_by_name() -> None:
    """Channel order does not matter, and both pupils may be one column."""
    samples = recording(120.0, 12.0)
    expected = values_of(feed(eye(), samples, 120.0, 0.25))
    turned = EyeMovements(PARAMS, LABELS[::-1], 120.0, 1.0, 0.25)
    np.testing.assert_array_equal(values_of(feed(turned, samples[:, ::-1], 120.0, 0.25)), expected)
    single = values_of(feed(eye(columns={**COLUMNS, "pupil_y": "left"}), samples, 120.0, 0.25))
    np.testing.assert_array_equal(single[:, 6:12], expected[:, :6])


def test_all_lost() -> None:
    """Nothing is known, and the step says why."""
    steps = feed(eye(), np.full((1200, 5), np.nan), 120.0, 0.25)
    assert steps[:3] == [None, None, None]
    for step in steps[3:]:
        assert step is not None
        assert np.isnan(step.values).all()
        assert step.problem == "track lost 100 % of the step"


def test_mostly_lost() -> None:
    """80 % are refused, 40 % are not; the limit is `min_tracked`."""
    samples = recording(120.0, 12.0)[:, :]
    samples[1320:1416, :2] = np.nan  # 0.8 s of the last step
    step = feed(eye(), samples, 120.0, 0.25)[-1]
    assert step is not None
    assert step.problem == "track lost 80 % of the step"
    assert np.isnan(step.values).all()
    step = feed(eye(min_tracked=0.1), samples, 120.0, 0.25)[-1]
    assert step is not None
    assert step.problem == ""
    assert np.isfinite(step.values).all()


def test_one_pupil_lost() -> None:
    """Only its six values are unknown."""
    samples = recording(120.0, 12.0)
    samples[-240:, 3] = np.nan
    step = feed(eye(), samples, 120.0, 0.25)[-1]
    assert step is not None
    assert step.problem == "pupil_y lost 100 % of the step"
    assert np.flatnonzero(np.isnan(step.values)).tolist() == [6, 7, 8, 9, 10, 11]


def test_flat_pupil() -> None:
    """A diameter that never moves has no entropy; mean and std are what they are."""
    samples = recording(120.0, 12.0)
    samples[:, 2] = 3.7
    step = feed(eye(), samples, 120.0, 0.25)[-1]
    assert step is not None
    assert step.problem == "pupil_x is flat"
    assert step.values[:2] == pytest.approx([3.7, 0.0], abs=1e-6)
    assert np.flatnonzero(np.isnan(step.values)).tolist() == [2, 3, 4, 5]


def test_long_loss_restarts_the_filters() -> None:
    """1.75 s without track: entropies are unknown until the filters settle. 0.75 s: they are bridged."""
    for lost_s, unknown in ((0.75, False), (1.75, True)):
        samples = recording(120.0, 40.0)
        samples[2400 : 2400 + int(120 * lost_s), :4] = np.nan
        extractor = eye(min_tracked=0.2)
        steps = feed(extractor, samples, 120.0, 0.25)
        back = 80 + int(4 * lost_s) + 4  # first step after the loss
        step = steps[back]
        assert step is not None
        assert np.isnan(step.values[ENTROPIES]).all() == unknown
        assert ("filters settle" in step.problem) == unknown
        assert np.isfinite(np.delete(step.values, ENTROPIES)).all()
        settled = back + int(np.ceil(extractor.settle_s / 0.25)) + 1
        assert np.isfinite(values_of(steps[settled:])).all()


def test_a_loss_leaves_no_trace_in_the_state() -> None:
    """One settling time after a second of NaN the values are those of the clean run, near enough."""
    clean = recording(120.0, 45.0, seed=3)
    lossy = clean.copy()
    lossy[2400:2520, :4] = np.nan
    after = 84 + int(np.ceil(eye().settle_s / 0.25)) + 4
    expected = values_of(feed(eye(), clean, 120.0, 0.25)[after:])
    got = values_of(feed(eye(), lossy, 120.0, 0.25)[after:])
    np.testing.assert_array_equal(np.delete(got, ENTROPIES, 1), np.delete(expected, ENTROPIES, 1))
    assert np.median(np.abs(got[:8, ENTROPIES] - expected[:8, ENTROPIES])) < 0.02
    np.testing.assert_allclose(got[40:], expected[40:], atol=0.01)


@pytest.mark.parametrize(("step_s", "hop_s", "limit"), [(1.0, 0.25, 0.2), (4.0, 1.0, 0.1)])
def test_settling_time_is_honest(step_s: float, hop_s: float, limit: float) -> None:
    """A step that begins after it: events as in the long run to the bit, entropies nearly.

    Entropies of such steps spread by 0.25 to 0.8 from one to the next.
    """
    rate_hz, differences = 120.0, []
    assert 4.0 < eye(rate_hz, step_s, hop_s).settle_s <= 8.0
    extractor = eye(rate_hz, step_s, hop_s)
    place = int(np.ceil(extractor.settle_s / hop_s)) + round(step_s / hop_s) - 1
    for seed in range(tries(1, 4)):
        samples = recording(rate_hz, 46.0, seed)
        extractor.reset()
        long = feed(extractor, samples, rate_hz, hop_s)
        for start_s in (20, 27, 34):  # no blink there
            extractor.reset()
            part = slice(int(start_s * rate_hz), int((start_s + (place + 1) * hop_s) * rate_hz))
            fresh = feed(extractor, samples[part], rate_hz, hop_s)
            got, expected = fresh[place], long[place + round(start_s / hop_s)]
            assert got is not None
            assert expected is not None
            np.testing.assert_array_equal(
                np.delete(got.values, ENTROPIES), np.delete(expected.values, ENTROPIES)
            )
            differences.append(np.abs(got.values - expected.values)[ENTROPIES])
    assert np.median(differences) < limit / 4
    assert np.percentile(differences, 95) < limit


@pytest.mark.parametrize("rate_hz", [*nightly(30.0, 128.0), 333.3])
def test_reset_forgets_everything(rate_hz: float) -> None:
    """Same blocks after a reset, same bits, whatever came before; also when block lengths alternate."""
    samples = recording(rate_hz, 15.0)
    extractor = eye(rate_hz)
    first = values_of(feed(extractor, samples, rate_hz, 0.25))
    extractor.reset()
    feed(extractor, 1e3 * recording(rate_hz, 7.1, seed=9), rate_hz, 0.25)
    extractor.reset()
    np.testing.assert_array_equal(values_of(feed(extractor, samples, rate_hz, 0.25)), first)


def test_blocks_may_be_overwritten_after_the_push() -> None:
    """The pipeline reuses its buffer."""
    samples = recording(120.0, 12.0)
    expected = values_of(feed(eye(), samples, 120.0, 0.25))
    extractor, buffer, steps = eye(), np.empty((30, 5)), []
    for start in range(0, len(samples), 30):
        buffer[:] = samples[start : start + 30]
        steps.append(extractor.push(buffer, np.isnan(buffer)))
        buffer[:] = -5.0
    np.testing.assert_array_equal(values_of(steps), expected)


def test_each_event_counts_once() -> None:
    """Steps end to end hold every saccade and blink of the recording, however long the steps are."""
    samples = recording(120.0, 40.0)
    counts = []
    for step_s in (1.0, 2.0, 4.0):
        values = values_of(feed(eye(step_s=step_s), samples, 120.0, 0.25)[round(step_s / 0.25) - 1 :])
        end_to_end = values[:: round(step_s / 0.25)] * step_s
        names = ("saccade_frequency", "blink_frequency", "fixation_frequency")
        counts.append([round(end_to_end[:, NAMES.index(name)].sum(), 9) for name in names])
    assert counts[0] == counts[1] == counts[2]
    assert counts[0][1] == 14  # one every 2.7 s from 1.3 s on to 36.4 s
    assert 70 < counts[0][0] < counts[0][2] < 130  # 0.45 s apart; a blink ends a fixation too


def test_a_step_without_events_is_finite() -> None:
    """One long fixation, no saccade, no blink: zeros, not unknown."""
    samples = recording(120.0, 12.0)
    samples[:, :2] = 1.0
    samples[:, 2:4] = np.where(np.isnan(samples[:, 2:4]), 3.0, samples[:, 2:4])
    step = feed(eye(), samples, 120.0, 0.25)[-1]
    assert step is not None
    got = dict(zip(NAMES, step.values, strict=True))
    assert np.isfinite(step.values).all()
    assert all(value == 0 for name, value in got.items() if name.startswith(("saccade", "blink")))
    assert got["fixation_frequency"] == 0  # it has not ended
    # It is as long as the step and the history before it, less the sample that waits for the next.
    assert got["fixation_duration_longest"] == pytest.approx(5.0 - 1 / 120)


@pytest.mark.parametrize("rate_hz", [60.0, *nightly(500.0), 1000.0, *nightly(2000.0)])
def test_rates_agree(rate_hz: float) -> None:
    """The same scene at another rate gives nearly the same features."""
    mean, at_120 = (
        values_of(feed(eye(rate, hop_s=1.0), recording(rate, 40.0), rate, 1.0)[10:]).mean(axis=0)
        for rate in (rate_hz, 120.0)
    )
    difference = dict(zip(NAMES, np.abs(mean - at_120), strict=True))
    for name, limit in (
        ("pupil_x_mean", 0.01),
        ("pupil_x_std", 0.01),
        ("pupil_y_de_0-0.2hz", 0.05),
        ("pupil_y_de_0.6-1hz", 0.05),
        ("fixation_duration_mean", 0.02),
        ("blink_duration_mean", 0.01),
        ("blink_frequency", 0.02),
        ("fixation_frequency", 0.1),
        ("saccade_frequency", 0.1),
        ("saccade_duration_mean", 0.012),
        ("saccade_amplitude_mean", 0.3),
        ("saccade_latency_average", 0.02),
    ):
        assert difference[name] < limit, name


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            {"velocity_deg": 30},
            "velocity_deg: got 30, expected a known parameter; nearest: 'velocity_deg_s'",
        ),
        ({"velocity_deg_s": "30"}, "velocity_deg_s: got '30', expected a number from 1 to 1000"),
        ({"velocity_deg_s": True}, "velocity_deg_s: got True, expected a number from 1 to 1000"),
        ({"min_tracked": float("nan")}, "min_tracked: got nan, expected a number from 0.01 to 1"),
        ({"min_confidence": 1.5}, "min_confidence: got 1.5, expected a number from 0 to 1"),
        ({"columns": None}, "columns: got None, expected a channel for each of gaze_x, gaze_y"),
        ({"columns": {**COLUMNS, "gaze_x": "X1"}}, "columns.gaze_x: got 'X1', expected one channel of the"),
        ({"columns": {**COLUMNS, "pupil_x": "lefd"}}, "nearest: 'left'"),
        ({"columns": {"gaze_x": "x"}}, "columns.gaze_y: got None, expected one channel of the stream"),
        ({"columns": {**COLUMNS, "gaze_z": "x"}}, "columns.gaze_z: got 'x', expected a column that"),
        ({"columns": {**COLUMNS, "gaze_y": "x"}}, "gaze_x and gaze_y in channels of their own"),
        ({"columns": {**COLUMNS, "pupil_y": "x"}}, "gaze_x and gaze_y in channels of their own"),
        ({"gaze_unit": "degree"}, "gaze_unit: got 'degree', expected one of normalized, pixels, degrees;"),
        ({"gaze_unit": "pixels"}, "degrees_per_unit_x: got None, expected a number"),
        ({"degrees_per_unit_y": 2.0}, "degrees_per_unit_y: got 2.0, expected nothing, gaze is in degrees"),
        ({"loss_values": 0}, "loss_values: got 0, expected a list of numbers"),
        ({"loss_values": ["NaN"]}, "loss_values: got ['NaN'], expected a list of numbers"),
        ({"blink_duration": "no"}, "blink_duration: got 'no', expected true or false"),
        ({"blink_min_s": 0.4}, "blink_max_s: got 0.4, expected more than blink_min_s (0.4)"),
        ({"pupil_bands_hz": [[0, 1]]}, "pupil_bands_hz: got [[0, 1]], expected four pairs"),
        ({"pupil_bands_hz": [[0, 0.2], [0.2, 0.4], [0.4, 0.6], [0.6, 9]]}, "pupil_bands_hz: got 0.6–9 Hz"),
        ({"pupil_bands_hz": [[0, 0.04], [0.2, 0.4], [0.4, 0.6], [0.6, 1]]}, "got 0.05–0.04 Hz"),
        ({"pupil_margin_s": 0.25}, "pupil_margin_s: got 0.25, expected less than a hop (0.25 s)"),
    ],
)
def test_refusals(params: dict[str, Any], expected: str) -> None:
    """One line that names field, got and expected."""
    with pytest.raises(ContractError) as caught:
        eye(**params)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("feature eye: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rate_hz", "step_s", "hop_s", "field"),
    [(20.0, 1.0, 0.25, "rate_hz"), (5000.0, 1.0, 0.25, "rate_hz"), (120.0, 1.0, 0.3, "step_s")],
)
def test_impossible_timing(rate_hz: float, step_s: float, hop_s: float, field: str) -> None:
    """Rates that no eye tracker has, and steps that are no whole number of hops."""
    with pytest.raises(ContractError) as caught:
        eye(rate_hz, step_s, hop_s)
    assert caught.value.field == field


def test_duplicate_label_is_refused() -> None:
    with pytest.raises(ContractError, match=r"columns\.gaze_x: got 'x', expected one channel"):
        EyeMovements(PARAMS, ("x", "x", "y", "left", "right", "sure"), 120.0, 1.0, 0.25)
