"""What the simulated EEG shows: spectrum, rhythms, state, artefacts, and no seams between blocks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray
from support.nightly import nightly, tries

from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.simulator.cortex import ABOVE, ALPHA, AROUSAL, BACK, BETA, GAMMA, LEFT_TEMPLE, VALENCE, Cortex
from bci_m2s.simulator.montage import electrodes
from bci_m2s.simulator.noise import Seeds

RATE_HZ = 200.0
CHANNELS = ("Fp1", "Fp2", "F7", "F8", "Fz", "FT7", "FT8", "Cz", "P3", "P4", "Pz", "O1", "Oz", "O2")
QUIET = SimulatorSettings(
    montage=CHANNELS, eeg_rate_hz=RATE_HZ, rest_s=0.0, n_trials=None, effect=0.0, artefacts=0.0, line_hz=0.0
)
BACK_CHANNELS = [CHANNELS.index(name) for name in ("P3", "P4", "Pz", "O1", "Oz", "O2")]


def _settings(**changes: object) -> SimulatorSettings:
    kept = {name: getattr(QUIET, name) for name in QUIET.__slots__}
    return SimulatorSettings(**{**kept, **changes})


def _density(
    x: NDArray[np.float32], rate_hz: float = RATE_HZ
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    frequencies, density = scipy.signal.welch(x, rate_hz, nperseg=int(4 * rate_hz), axis=0)
    return frequencies, density


def _background(frequencies: NDArray[np.float64], density: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a straight line in log-log from 2 to 40 Hz without alpha: slope and intercept."""
    used = (frequencies >= 2.0) & (frequencies <= 40.0) & ~((frequencies > 6.0) & (frequencies < 15.0))
    return np.polyfit(np.log(frequencies[used]), np.log(density[used]), 1)


@pytest.fixture(scope="module")
def resting() -> list[tuple[SimulatedSession, NDArray[np.float64], NDArray[np.float64]]]:
    """People without artefacts: session, frequencies, density (bins, channels)."""
    sessions = [SimulatedSession(QUIET, subject) for subject in range(tries(4, 6))]
    return [(s, *_density(s.eeg(0, int(70 * RATE_HZ)))) for s in sessions]


@pytest.mark.nightly
def test_amplitudes_are_those_of_eeg(resting: list) -> None:
    """Every channel has 2 to 60 µV root mean square from 1 to 45 Hz."""
    for _, frequencies, density in resting:
        band = (frequencies >= 1.0) & (frequencies <= 45.0)
        rms_uv = np.sqrt(density[band].sum(axis=0) * (frequencies[1] - frequencies[0]))
        assert rms_uv.min() > 2.0
        assert rms_uv.max() < 60.0


def test_background_falls_as_one_over_f(resting: list) -> None:
    """The exponent is 0.8 to 2 and differs between people."""
    slopes = [_background(f, d.mean(axis=1))[0] for _, f, d in resting]
    assert min(slopes) > -2.0
    assert max(slopes) < -0.8
    assert np.ptp(slopes) > 0.2


def test_alpha_peak_stands_at_the_persons_own_frequency(resting: list) -> None:
    """The largest excess over 1/f at the back, 7 to 14 Hz, lies within 0.6 Hz of ``alpha_hz``."""
    peaks = []
    for session, frequencies, density in resting:
        back = density[:, BACK_CHANNELS].mean(axis=1)
        slope, level = _background(frequencies, back)
        alpha = (frequencies >= 7.0) & (frequencies <= 14.0)
        excess = back[alpha] / np.exp(level + slope * np.log(frequencies[alpha]))
        smooth = np.convolve(excess, np.ones(5) / 5, mode="same")
        peaks.append(frequencies[alpha][smooth.argmax()])
        assert excess.max() > 2.0
        assert abs(peaks[-1] - session.cortex.alpha_hz) < 0.6
    assert np.ptp(peaks) > 0.8


def test_alpha_is_strongest_at_the_back(resting: list) -> None:
    """On average more power at 8 to 13 Hz at the back than at Fp1 and Fp2."""
    ratios = []
    for _, frequencies, density in resting:
        alpha = density[(frequencies >= 8.0) & (frequencies <= 13.0)].mean(axis=0)
        ratios.append(alpha[BACK_CHANNELS].mean() / alpha[:2].mean())
    assert np.median(ratios) > 1.5


def _line_ratio(settings: SimulatorSettings, line_hz: float) -> NDArray[np.float64]:
    """Density at the line frequency over that 2 to 6 Hz beside it, in pieces of 8 s: (channels,)."""
    rate_hz = settings.eeg_rate_hz
    x = SimulatedSession(settings).eeg(0, int(64 * rate_hz))
    frequencies, density = scipy.signal.welch(x, rate_hz, nperseg=int(8 * rate_hz), axis=0)
    apart = np.abs(frequencies - line_hz)
    return density[apart == 0.0][0] / density[(apart >= 2.0) & (apart <= 6.0)].mean(axis=0)


@pytest.mark.parametrize("line_hz", [50.0, *nightly(60.0)])
def test_line_noise_is_a_narrow_peak(line_hz: float) -> None:
    """At the set frequency in every channel, and nowhere when set to 0."""
    ratio = _line_ratio(_settings(line_hz=line_hz), line_hz)
    assert ratio.min() > 2.0
    assert np.median(ratio) > 8.0
    silent = _line_ratio(QUIET, line_hz)
    assert silent.max() < 3.0
    assert np.median(silent) < 1.3


@pytest.mark.nightly
def test_third_harmonic_only_below_nyquist() -> None:
    """150 Hz is there when sampled at 1000 Hz; at 200 Hz no harmonic folds back into the band."""
    fast = _settings(line_hz=50.0, eeg_rate_hz=1000.0, montage=("Cz", "Pz"))
    assert _line_ratio(fast, 150.0).min() > 3.0
    assert _line_ratio(_settings(line_hz=60.0), 20.0).max() < 3.0  # 180 Hz would fold to 20 Hz


def test_blocks_leave_no_seam() -> None:
    """Jumps and bends between blocks are as large as within them, with everything switched on."""
    settings = _settings(effect=1.0, artefacts=1.0, line_hz=50.0)
    x = SimulatedSession(settings).eeg(0, int(80 * RATE_HZ)).astype(np.float64)
    for order in (1, 2, 3):
        size = np.median(np.abs(np.diff(x, n=order, axis=0)), axis=1)
        offset = (np.arange(len(size)) + order) % int(RATE_HZ)  # of the difference's last sample
        across = size[(offset < order)]
        assert abs(across.mean() / size.mean() - 1.0) < 0.10


@pytest.mark.nightly
def test_spectrum_around_seams_equals_spectrum_elsewhere() -> None:
    """Half-second pieces centred on seams and on block centres have the same mean spectrum."""
    n = int(RATE_HZ)
    x = SimulatedSession(QUIET).eeg(0, 401 * n).astype(np.float64)
    taper = scipy.signal.get_window("hann", n // 2)[:, None]

    def spectrum(offset: int) -> NDArray[np.float64]:
        pieces = np.stack([x[k * n + offset : k * n + offset + n // 2] for k in range(400)])
        pieces = pieces - pieces.mean(axis=1, keepdims=True)
        return np.mean(np.abs(np.fft.rfft(pieces * taper, axis=1)) ** 2, axis=(0, 2))[1:]

    ratio = spectrum(n - n // 4) / spectrum(n // 4)
    assert abs(np.log(ratio)).max() < 0.2
    assert abs(np.log(ratio)).mean() < 0.06


def test_blinks_show_in_front_and_as_track_loss() -> None:
    """Each blink covers the pupil and lifts Fp1 and Fp2, far more than Oz, at that very time."""
    session = SimulatedSession(_settings(artefacts=1.0))
    eeg, eye = session.eeg(0, int(100 * RATE_HZ)), session.eye(0, 100 * 120)
    blinks = session.eyes.blinks(1.0, 98.0)
    assert 10 <= len(blinks) <= 40
    lifts = []
    for blink in blinks:
        first, last = blink.start_s, blink.start_s + blink.duration_s
        covered = eye[int(np.ceil(first * 120)) : int(np.ceil(last * 120))]
        assert np.isnan(covered[:, :4]).all()
        assert (covered[:, 4] == 0.0).all()
        during = eeg[int(first * RATE_HZ) : int(last * RATE_HZ)].max(axis=0)
        before = np.median(eeg[int((first - 0.4) * RATE_HZ) : int((first - 0.15) * RATE_HZ)], axis=0)
        lifts.append(during - before)
    lift = np.array(lifts)
    front, back = lift[:, :2].mean(axis=1), lift[:, CHANNELS.index("Oz")]
    assert np.mean(front > 50.0) > 0.9
    assert np.median(front) > 4.0 * np.median(back)


def test_lost_track_is_blinks_and_few_long_losses() -> None:
    """Outside blinks the track is lost seldom, and then for longer than a blink may last."""
    session = SimulatedSession(QUIET)
    lost = np.isnan(session.eye(0, 300 * 120)[:, 0])
    times = np.arange(len(lost)) / 120.0
    for blink in session.eyes.blinks(0.0, 300.0):
        lost &= ~((times >= blink.start_s) & (times < blink.start_s + blink.duration_s))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(np.int8), [0]])))
    assert 1 <= len(edges) // 2 <= 20
    assert lost.mean() < 0.03


def test_gaze_shows_in_frontal_channels() -> None:
    """F8 minus F7 follows gaze to the right: slope near 4 µV a degree; nothing at the back."""
    session = SimulatedSession(_settings(artefacts=1.0, eye_rate_hz=RATE_HZ))
    eeg, eye = session.eeg(0, int(60 * RATE_HZ)), session.eye(0, int(60 * RATE_HZ))
    seen = ~np.isnan(eye[:, 0])
    degrees = 35.0 * (eye[seen, 0] - 0.5)

    def slope(right: str, left: str) -> float:
        difference = eeg[seen, CHANNELS.index(right)] - eeg[seen, CHANNELS.index(left)]
        return float(np.polyfit(degrees, difference, 1)[0])

    assert 2.5 < slope("F8", "F7") < 5.5
    assert abs(slope("O2", "O1")) < 0.5


@pytest.mark.nightly
def test_muscle_bursts_reach_the_temples() -> None:
    """Above 60 Hz what artefacts add is bursty, strong at the temples and weak at the centre."""
    with_artefacts = SimulatedSession(_settings(artefacts=1.0, eeg_rate_hz=500.0), 3).eeg(0, 60_000)
    x = with_artefacts - SimulatedSession(_settings(eeg_rate_hz=500.0), 3).eeg(0, 60_000)
    high = scipy.signal.sosfiltfilt(scipy.signal.butter(4, 60.0, "high", fs=500.0, output="sos"), x, axis=0)
    envelope = np.sqrt((high**2).reshape(-1, 100, len(CHANNELS)).mean(axis=1))
    temple, centre = envelope[:, CHANNELS.index("FT7")], envelope[:, CHANNELS.index("Cz")]
    assert np.median(temple) > 4.0 * np.median(centre)
    assert temple.max() > 4.0 * np.median(temple)
    assert np.mean(temple > 3.0 * np.median(temple)) < 0.2


def _cortex(subject: int, session: int = 0, effect: float = 1.0) -> Cortex:
    return Cortex(electrodes("muse")[1], Seeds(0, subject, session), effect)


def test_state_maps_have_a_shared_and_an_own_part() -> None:
    """The mean over people shows the findings; two people's maps correlate in part."""
    people = [_cortex(k) for k in range(40)]
    maps = np.array([c.state_gain for c in people])
    patches = people[0].patches

    def at(where: tuple[float, float, float]) -> int:
        return int(np.argmax(patches @ np.array(where)))

    mean = maps.mean(axis=0)
    assert mean[ALPHA, at(BACK), AROUSAL] < -0.05
    assert mean[GAMMA, at(LEFT_TEMPLE), VALENCE] > 0.05
    flat = maps.reshape(40, -1)
    between = np.corrcoef(flat)[np.triu_indices(40, 1)]
    assert 0.3 < between.mean() < 0.8
    assert not _cortex(0, effect=0.0).state_gain.any()


def test_bands_in_which_muscle_is_carry_little_of_valence() -> None:
    """Of what people share, beta and gamma have less than a third, and nobody has state above 50 Hz."""
    maps = np.array([_cortex(k).state_gain for k in range(40)])
    assert not maps[:, ABOVE].any()
    shared = (maps.mean(axis=0) ** 2)[..., VALENCE].sum(axis=1)
    assert 0.1 < shared[[BETA, GAMMA]].sum() / shared.sum() < 1 / 3


def test_above_the_gamma_band_the_signal_does_not_tell_the_state() -> None:
    """Above 60 Hz at the temples the samples hardly change with the state, in the gamma band they do."""
    signals = []
    for effect in (0.0, 3.0):
        settings = _settings(montage=("T7", "T8"), effect=effect, artefacts=1.0, eeg_rate_hz=250.0)
        signals.append(SimulatedSession(settings, 1).eeg(0, 40 * 250).astype(np.float64))
    for band_hz, most in (((60.0, 100.0), 0.05), ((31.0, 50.0), None)):
        sos = scipy.signal.butter(6, band_hz, "bandpass", fs=250.0, output="sos")
        quiet, strong = (scipy.signal.sosfiltfilt(sos, x, axis=0) for x in signals)
        change = np.std(strong - quiet) / np.std(quiet)
        print(f"{band_hz}: {change:.3f}")
        assert change < most if most else change > 0.1


def test_sessions_of_a_person_share_the_person() -> None:
    """State maps and alpha stay; level and cap move."""
    first, second, other = _cortex(0), _cortex(0, session=1), _cortex(1)
    np.testing.assert_array_equal(first.state_gain, second.state_gain)
    assert first.alpha_hz == second.alpha_hz != other.alpha_hz
    assert np.abs(first.offset - second.offset).mean() > 0.02
    shift = np.linalg.norm(first.positions - second.positions, axis=1)
    assert 0.0 < shift.min() <= shift.max() < 0.3


@pytest.mark.nightly
def test_state_changes_band_power_in_the_signal() -> None:
    """Stronger effect: alpha at the back is lower in aroused trials, for most people."""
    settings = _settings(effect=3.0, classes=("low", "high"), n_trials=12, trial_s=8.0, pause_s=2.0)
    falls = []
    for subject in range(6):
        session = SimulatedSession(settings, subject)
        power = {0: [], 1: []}  # type: dict[int, list[float]]
        for trial in session.trials:
            x = session.eeg(int((trial.start_s + 2.0) * RATE_HZ), int(trial.stop_s * RATE_HZ))
            frequencies, density = scipy.signal.welch(x, RATE_HZ, nperseg=400, axis=0)
            alpha = (frequencies >= 8.0) & (frequencies <= 13.0)
            power[settings.classes.index(trial.label)].append(
                float(np.log(density[alpha][:, BACK_CHANNELS]).mean())
            )
        falls.append(np.mean(power[0]) - np.mean(power[1]))
    assert np.mean(falls) > 0.2
    assert np.sum(np.array(falls) > 0.0) >= 5
