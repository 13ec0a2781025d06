"""Peripheral signals whose rates and levels are known, losses of one signal, refusals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.body_signals import (
    BODY_LABELS,
    BODY_PARAMS,
    beat_times,
    blinking,
    body,
    breath,
    pulse_of,
    skin,
)
from support.nightly import nightly, often

from bci_m2s.errors import ContractError
from bci_m2s.features.physiology import PeripheralPhysiology
from bci_m2s.features.physiology_windows import pulse_peaks
from bci_m2s.signal.blocks import BlockCutter
from bci_m2s.types import Chunk, Step

Array = NDArray[np.float64]
HOP_S = 1.0  # shorter ones give the same values, as a test shows, and take longer
COLUMNS: dict[str, Any] = dict(BODY_PARAMS["columns"])
NAMES = [
    *("gsr_mean", "gsr_slope_per_s", "gsr_range", "gsr_falling_share", "gsr_peaks_per_min"),
    *("respiration_rate_per_min", "respiration_centroid_hz", "respiration_depth", "respiration_sd"),
    "respiration_slow_quick_ln",
    *("pulse_rate_bpm", "pulse_sdnn_ms", "pulse_rmssd_ms", "pulse_amplitude_ln"),
    *("temperature_mean", "temperature_slope_per_s"),
    *("emg_zEMG_energy_ln", "emg_tEMG_energy_ln"),
    *("eog_hEOG_energy_ln", "eog_hEOG_blinks_per_min", "eog_vEOG_energy_ln", "eog_vEOG_blinks_per_min"),
]


def extractor(rate_hz: float = 128.0, step_s: float = 1.0, hop_s: float = HOP_S, **params: Any) -> Any:
    """Build one for DEAP's eight channels."""
    return PeripheralPhysiology({**BODY_PARAMS, **params}, BODY_LABELS, rate_hz, step_s, hop_s)


def feed(extractor: Any, samples: Array, rate_hz: float = 128.0, hop_s: float = HOP_S) -> list[Step]:
    """Push whole blocks as the pipeline cuts them, NaN where lost; return the steps that are there."""
    edges = [int(k * hop_s * rate_hz + 1e-6) for k in range(int(len(samples) / (hop_s * rate_hz)) + 1)]
    blocks = [samples[edges[k] : edges[k + 1]] for k in range(len(edges) - 1)]
    steps = [extractor.push(block, np.isnan(block)) for block in blocks]
    return [step for step in steps if step is not None]


def alone(kind: str, signal: Array, rate_hz: float = 128.0, **params: Any) -> dict[str, float]:
    """Values of the last step of one signal."""
    columns = {kind: ["x"] if kind in ("emg", "eog") else "x"}
    alone = PeripheralPhysiology({"columns": columns, **params}, ("x",), rate_hz, 1.0, HOP_S)
    step = feed(alone, signal[:, None], rate_hz)[-1]
    assert step.problem == ""
    return dict(zip(alone.names, step.values.tolist(), strict=True))


def test_names_follow_the_signals() -> None:
    """All of them in order, and those of a subset."""
    assert list(extractor().names) == NAMES
    some = PeripheralPhysiology(
        {"columns": {"temperature": "Temp", "gsr": "GSR"}}, BODY_LABELS, 128.0, 1.0, HOP_S
    )
    assert list(some.names) == [*NAMES[:5], *NAMES[14:16]]
    _, samples = body(30)
    every, part = feed(extractor(), samples)[-1].values, feed(some, samples)[-1].values
    np.testing.assert_array_equal(part, every[[0, 1, 2, 3, 4, 14, 15]])


@pytest.mark.parametrize("rate_hz", [32.0, *nightly(128.0), 1000.0])
@pytest.mark.parametrize("per_min", [8.0, *nightly(13.0, 24.0), 36.0])
def test_breath(rate_hz: float, per_min: float) -> None:
    """Rate to one breath a minute; depth and deviation of a sinusoid with a tenth of a harmonic."""
    got = alone("respiration", 40 + breath(60, rate_hz, per_min, 3.0), rate_hz, window_s=20.0)
    assert got["respiration_rate_per_min"] == pytest.approx(per_min, abs=1.0)
    assert got["respiration_sd"] == pytest.approx(1.5 * np.sqrt(1.01 / 2), rel=0.05)
    assert got["respiration_depth"] == pytest.approx(3.0, rel=0.1)
    assert got["respiration_centroid_hz"] == pytest.approx(per_min / 60, abs=0.03)
    assert (got["respiration_slow_quick_ln"] > 0) == (per_min < 15.0)


@pytest.mark.parametrize("rate_hz", [51.2, 128.0, *nightly(500.0)])
@pytest.mark.parametrize("rate_bpm", [50.0, *nightly(72.0), 110.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_pulse(rate_hz: float, rate_bpm: float, sign: float) -> None:
    """Rate and variability of the beats that made it, both ways up, on a drifting ground with noise."""
    true_s = beat_times(60, rate_bpm, respiration_s=0.02)
    wave = pulse_of(true_s, 60, rate_hz) + np.random.default_rng(2).normal(0, 0.5, int(60 * rate_hz))
    wave += 40 * np.sin(2 * np.pi * 0.1 * np.arange(len(wave)) / rate_hz)
    got = alone("plethysmograph", sign * wave, rate_hz)
    ends_s = true_s[true_s < 59.7]
    rr_ms = 1000 * np.diff(ends_s)[ends_s[1:] > 45.5]
    assert got["pulse_rate_bpm"] == pytest.approx(60_000 / rr_ms.mean(), rel=0.02)
    assert got["pulse_sdnn_ms"] == pytest.approx(rr_ms.std(ddof=1), abs=6)
    assert got["pulse_rmssd_ms"] == pytest.approx(np.sqrt(np.mean(np.diff(rr_ms) ** 2)), abs=10)
    twice = alone("plethysmograph", 2 * sign * wave, rate_hz)
    assert twice["pulse_amplitude_ln"] - got["pulse_amplitude_ln"] == pytest.approx(np.log(2))
    assert got["pulse_amplitude_ln"] == pytest.approx(np.log(50), abs=0.5)


def test_every_pulse_is_one_peak() -> None:
    """Each beat inside the window once; the dicrotic wave is none."""
    true_s = beat_times(30, 70.0)
    wave = pulse_of(true_s, 30, 128.0)
    positions, heights = pulse_peaks(wave - wave.mean(), 128.0)
    peaks_s = true_s + 0.1
    inside = peaks_s[(peaks_s > 0.7) & (peaks_s < 29.6)]
    inner_s = positions[(positions > 0.7 * 128) & (positions < 29.6 * 128)] / 128
    np.testing.assert_allclose(inner_s, inside, atol=0.01)
    np.testing.assert_allclose(heights[1:], 50, rtol=0.15)


def test_skin() -> None:
    """A slope without responses; responses of 0.5 every 5 s."""
    rising = alone("gsr", skin(40, 128.0, np.array([]), 0.02))
    assert rising["gsr_slope_per_s"] == pytest.approx(0.02, rel=0.01)
    assert rising["gsr_mean"] == pytest.approx(5 + 0.02 * 32.5, rel=0.001)
    assert rising["gsr_range"] == pytest.approx(0.02 * 14, rel=0.05)
    assert rising["gsr_falling_share"] == 0.0
    assert rising["gsr_peaks_per_min"] == 0.0
    falling = alone("gsr", skin(40, 128.0, np.array([]), -0.02))
    assert falling["gsr_falling_share"] == 1.0
    level = skin(60, 128.0, np.arange(2.0, 60.0, 5.0))
    responses = alone("gsr", level)
    smooth = np.convolve(level[45 * 128 :], np.full(128, 1 / 128), "valid")
    assert responses["gsr_peaks_per_min"] == pytest.approx(12, abs=2)
    assert responses["gsr_range"] == pytest.approx(np.ptp(smooth), rel=0.02)
    assert responses["gsr_falling_share"] == pytest.approx(np.mean(np.diff(smooth) < 0), abs=0.02)
    still = alone("gsr", np.full(5120, 3.3))
    assert list(still.values()) == pytest.approx([3.3, 0, 0, 0, 0])


def test_temperature() -> None:
    """Mean and slope of a straight line, also where a second of it is lost."""
    line = 31 + 0.004 * np.arange(40 * 128) / 128
    line[33 * 128 : 34 * 128] = np.nan
    got = alone("temperature", line)
    assert got["temperature_mean"] == pytest.approx(31 + 0.004 * 32.5, abs=1e-3)
    assert got["temperature_slope_per_s"] == pytest.approx(0.004, rel=1e-3)


def test_muscle_energy() -> None:
    """A sinusoid in the band: ln A²/2 of the newest second; offset and drift below it do not count."""
    times = np.arange(30 * 500) / 500
    wave = 6 * np.sin(2 * np.pi * 80 * times) * (times < 20) + 2 * np.sin(2 * np.pi * 80 * times) * (
        times >= 20
    )
    got = alone("emg", wave + 5000 + 50 * np.sin(2 * np.pi * 0.5 * times), 500.0)
    assert got["emg_x_energy_ln"] == pytest.approx(np.log(2), abs=0.05)
    hum = wave + 30 * np.sin(2 * np.pi * 50 * times)
    assert alone("emg", hum, 500.0)["emg_x_energy_ln"] > 5
    assert alone("emg", hum, 500.0, notch_hz=[50])["emg_x_energy_ln"] == pytest.approx(np.log(2), abs=0.1)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_blinks(sign: float) -> None:
    """One every 2.5 s is 24 a minute, either way up; noise alone has none; energy of a sinusoid."""
    got = alone("eog", sign * blinking(60, 128.0, np.arange(1.2, 60, 2.5)))
    assert got["eog_x_blinks_per_min"] == pytest.approx(24)
    assert alone("eog", sign * blinking(60, 128.0, np.array([])))["eog_x_blinks_per_min"] <= 4
    wave = 10 * np.sin(2 * np.pi * 5 * np.arange(30 * 128) / 128)
    assert alone("eog", wave)["eog_x_energy_ln"] == pytest.approx(np.log(50), abs=0.02)


@pytest.fixture(scope="module")
def whole() -> list[Step]:
    """Steps of 45 s without a loss."""
    return feed(extractor(), body(45)[1])


@pytest.mark.parametrize("label", often(BODY_LABELS, ("GSR", "Resp", "Plet", "Temp", "zEMG", "vEOG")))
def test_a_lost_signal_leaves_the_others(label: str, whole: list[Step]) -> None:
    """Its own values become NaN with a reason at once; the others keep their bits; it heals."""
    _, holed = body(45)
    holed[20 * 128 : 23 * 128, BODY_LABELS.index(label)] = np.nan
    got = feed(extractor(), holed)
    kind = next(kind for kind, chosen in COLUMNS.items() if label == chosen or label in chosen)
    prefix = {"plethysmograph": "pulse"}.get(kind, kind)
    own = np.array(
        [name.startswith(prefix) and (kind not in ("emg", "eog") or label in name) for name in NAMES]
    )
    assert own.any()
    at = round(22 / HOP_S)
    assert np.isnan(got[at].values[own]).all()
    assert "lost 100 % of the step" in got[at].problem
    for step, other in zip(whole, got, strict=True):
        np.testing.assert_array_equal(step.values[~own], other.values[~own])
    assert got[-1].problem == ""
    np.testing.assert_allclose(got[-1].values, whole[-1].values, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("label", ["Resp", "Plet", "zEMG", "vEOG"])
def test_a_flat_signal_is_unknown(label: str) -> None:
    """A sensor that fell off sends a constant."""
    _, samples = body(32)
    samples[10 * 128 :, BODY_LABELS.index(label)] = 7.0
    step = feed(extractor(), samples)[-1]
    problems = {"Resp": "respiration is flat", "Plet": "plethysmograph shows no regular pulse"}
    kind = "emg" if "EMG" in label else "eog"
    assert step.problem == problems.get(label, f"{kind} {label} is flat")
    assert np.isnan(step.values).any()
    assert np.isfinite(step.values[:5]).all()


def test_noise_has_no_pulse() -> None:
    """White noise on the plethysmograph gives no heart rate."""
    _, samples = body(45)
    samples[:, BODY_LABELS.index("Plet")] = np.random.default_rng(5).normal(0, 50, len(samples))
    steps = feed(extractor(), samples)[20:]
    known = np.mean([np.isfinite(step.values[NAMES.index("pulse_rate_bpm")]) for step in steps])
    assert known < 0.2


@pytest.mark.parametrize(("step_s", "hop_s"), [(1.0, 0.25), (4.0, 1.0)])
def test_settling_time_is_honest(step_s: float, hop_s: float) -> None:
    """The first step that may be used has the values of a run that began long before."""
    _, samples = body(52)
    long = feed(extractor(128.0, step_s, hop_s), samples, hop_s=hop_s)
    restarted = extractor(128.0, step_s, hop_s)
    assert restarted.settle_s < 20
    position = int(np.ceil(restarted.settle_s / hop_s))
    for start in (20, 29):
        needed = samples[start * 128 : round((start + (position + 1) * hop_s + step_s) * 128)]
        fresh = feed(restarted, needed, hop_s=hop_s)
        got, expected = fresh[position], long[position + round(start / hop_s)]
        assert got.problem == expected.problem == ""
        np.testing.assert_allclose(got.values, expected.values, rtol=0.01, atol=0.02)
        restarted.reset()


def test_values_do_not_depend_on_the_hop() -> None:
    """Blocks of 0.25 and of 1 s: the same values where steps end together."""
    _, samples = body(30)
    often = feed(extractor(hop_s=0.25), samples, hop_s=0.25)[::4]
    seldom = feed(extractor(hop_s=1.0), samples, hop_s=1.0)
    for step, other in zip(often, seldom, strict=True):
        np.testing.assert_allclose(step.values, other.values, rtol=1e-9, atol=1e-9)


def test_a_push_takes_little() -> None:
    """Eight channels at 128 Hz: the fastest of three runs."""
    _, samples = body(12)
    body_signals, taken_s = extractor(hop_s=0.25), []
    for _ in range(3):
        body_signals.reset()
        begun = time.process_time()
        n = len(feed(body_signals, samples, hop_s=0.25))
        taken_s.append((time.process_time() - begun) / n)
    assert min(taken_s) < 0.006  # about 1.5 ms on a free core


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"column": {}}, "column: got {}, expected a known parameter; nearest: 'columns'"),
        ({"columns": None}, "columns: got None, expected a channel for any of gsr, respiration"),
        ({"columns": {}}, "columns: got {}, expected a channel for any of gsr, respiration"),
        ({"columns": {"grs": "GSR"}}, "columns.grs: got 'GSR', expected a signal that this feature knows"),
        ({"columns": {"gsr": "EDA"}}, "columns.gsr: got 'EDA', expected one channel of the stream"),
        ({"columns": {"gsr": ["GSR"]}}, "columns.gsr: got ['GSR'], expected one channel of the stream"),
        ({"columns": {"emg": "zEMG"}}, "columns.emg: got 'zEMG', expected a list of channels"),
        ({"columns": {"eog": []}}, "columns.eog: got [], expected a list of channels"),
        (
            {"columns": {"eog": ["hEOG", "hEOG"]}},
            "columns.eog: got ['hEOG', 'hEOG'], expected every channel once",
        ),
        (
            {"columns": {"emg": ["tEMG", "xEMG"]}},
            "columns.emg: got 'xEMG', expected one channel of the stream",
        ),
        ({"window_s": 4}, "window_s: got 4, expected a number from 8 to 300"),
        ({"min_tracked": None}, "min_tracked: got None, expected a number from 0.1 to 1"),
        ({"notch_hz": 50}, "notch_hz: got 50, expected a list of line frequencies"),
        (
            {"notch_hz": [50, 64]},
            "notch_hz: got [50, 64], expected a list of line frequencies as [50], each 1 to 62.72 Hz",
        ),
    ],
)
def test_refusals(params: dict[str, Any], expected: str) -> None:
    """One line that names field, got and expected."""
    with pytest.raises(ContractError) as caught:
        extractor(**params)
    assert str(caught.value).startswith(f"feature physiology: {expected}")


@pytest.mark.parametrize(
    ("kind", "rate_hz"),
    [
        ("gsr", 3.9),
        ("respiration", 4.0),
        ("plethysmograph", 20.0),
        ("emg", 60.0),
        ("eog", 30.0),
        ("gsr", 2e4),
    ],
)
def test_impossible_rates(kind: str, rate_hz: float) -> None:
    """Each signal says which rate it needs."""
    columns = {kind: ["x"] if kind in ("emg", "eog") else "x"}
    with pytest.raises(ContractError, match="rate_hz"):
        PeripheralPhysiology({"columns": columns}, ("x",), rate_hz, 1.0, HOP_S)


@pytest.mark.parametrize(("step_s", "hop_s", "field"), [(1.0, 0.3, "step_s"), (16.0, 1.0, "window_s")])
def test_impossible_timing(step_s: float, hop_s: float, field: str) -> None:
    """Steps that are no whole number of hops, and windows shorter than a step."""
    with pytest.raises(ContractError) as caught:
        extractor(128.0, step_s, hop_s)
    assert caught.value.field == field


@pytest.mark.parametrize("rate_hz", [4.0, 3.998])
def test_skin_and_temperature_of_a_wrist_band_are_those_of_a_faster_one(rate_hz: float) -> None:
    """4 Hz, a sample per hop; a rate a little below it leaves a hop out now and then."""
    n = round(600 * rate_hz)
    time_s = np.arange(n) / rate_hz
    signal = np.column_stack([5 + 0.01 * time_s + 0.5 * np.sin(time_s / 3), 33 - 0.002 * time_s])
    params = {"columns": {"gsr": "EDA", "temperature": "TEMP"}}
    slow = PeripheralPhysiology(params, ("EDA", "TEMP"), rate_hz, 1.0, 0.25)
    cutter = BlockCutter(2, rate_hz, 0.25, 0.1)
    blocks = [block.samples.copy() for block in cutter.push(Chunk.of(time_s, signal))]
    assert all(len(block) == 1 for block in blocks)
    assert 0 <= n - len(blocks) <= 2
    got = [slow.push(block, np.isnan(block)) for block in blocks[-4 * 60 :]][-1]  # of the last minute
    assert got is not None
    assert got.problem == ""
    fine_s = 540 + np.arange(60 * 32) / 32.0
    fine = np.column_stack([5 + 0.01 * fine_s + 0.5 * np.sin(fine_s / 3), 33 - 0.002 * fine_s])
    quick = PeripheralPhysiology(params, ("EDA", "TEMP"), 32.0, 1.0, 0.25)
    np.testing.assert_allclose(got.values, feed(quick, fine, 32.0, 0.25)[-1].values, rtol=0.12, atol=0.02)


def test_temperature_once_a_second_takes_hops_of_a_second() -> None:
    columns = {"columns": {"temperature": "x"}}
    slow = PeripheralPhysiology(columns, ("x",), 1.0, 1.0, 1.0)
    steps = feed(slow, (33 + 0.01 * np.arange(40.0))[:, None], 1.0, 1.0)
    assert steps[-1].values.tolist() == pytest.approx([33 + 0.01 * 32, 0.01])
    with pytest.raises(ContractError, match=r"rate_hz: got 1.0, expected 3.96 to 10000 Hz"):
        PeripheralPhysiology(columns, ("x",), 1.0, 1.0, 0.25)
