"""What every source promises, run over each entry of SOURCES."""

import contextlib
import math
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pylsl
import pytest

from bci_m2s.recording.recorded import RecordedStream
from bci_m2s.simulator import SimulatorSettings
from bci_m2s.sources import SOURCES, Environment, StreamSettings
from bci_m2s.sources.lsl import LslSource
from bci_m2s.sources.replay import ReplaySource
from bci_m2s.sources.simulated import SimulatedSource
from bci_m2s.types import Chunk, StreamInfo

LIMIT_S = 120.0
N = 400
SAMPLES = np.arange(2 * N, dtype=np.float32).reshape(N, 2)


@contextlib.contextmanager
def live():
    """An outlet that sends N samples once somebody listens."""
    name = f"every-{uuid.uuid4().hex[:8]}"
    info = pylsl.StreamInfo(name, "EEG", 2, 200, "float32", name)
    info.set_channel_labels(["Fp1", "Fp2"])
    outlet = pylsl.StreamOutlet(info)

    def send():
        if outlet.wait_for_consumers(LIMIT_S):
            for start in range(0, N, 40):
                outlet.push_chunk(
                    SAMPLES[start : start + 40], (50 + np.arange(start, start + 40) / 200).tolist()
                )

    thread = threading.Thread(target=send)
    thread.start()
    yield LslSource(name, wait_s=LIMIT_S)
    thread.join()


@contextlib.contextmanager
def recorded():
    info = StreamInfo("r", "EEG", rate_hz=200.0, labels=("Fp1", "Fp2"), units=("uV", "uV"))
    stream = RecordedStream(info, 50 + np.arange(N) / 200, lambda start, stop: SAMPLES[start:stop])
    yield ReplaySource(stream, chunk_samples=33)


@contextlib.contextmanager
def simulated():
    settings = SimulatorSettings(
        montage="muse", eeg_rate_hz=200.0, rest_s=0.0, trial_s=2.0, pause_s=0.0, n_trials=1
    )
    yield SimulatedSource(settings, stream="eeg")


MAKERS = {"lsl": live, "replay": recorded, "simulated": simulated}


@pytest.mark.parametrize("name", MAKERS)
def test_samples_come_in_order_and_the_end_is_reported(name):
    with MAKERS[name]() as source:
        source.open()
        info = source.info
        assert info.name
        assert info.rate_hz == 200
        assert len(info.labels) == len(info.units) == info.n_channels > 0
        chunks, limit = [], time.monotonic() + LIMIT_S
        while not source.finished and sum(map(len, chunks)) < N and time.monotonic() < limit:
            begun = time.monotonic()
            chunk = source.pull(0.2)
            assert time.monotonic() - begun < LIMIT_S
            assert isinstance(chunk, Chunk)
            assert chunk.samples.shape == (len(chunk), info.n_channels)
            assert chunk.times.dtype == chunk.received_s.dtype == np.float64
            assert len(chunk.times) == len(chunk.received_s)
            if len(chunk):
                chunks.append(Chunk(chunk.times.copy(), chunk.samples.copy(), chunk.received_s.copy()))
        times = np.concatenate([chunk.times for chunk in chunks])
        assert len(times) == N
        np.testing.assert_allclose(np.diff(times), 1 / 200, atol=1e-9)
        if name != "simulated":
            np.testing.assert_array_equal(np.concatenate([chunk.samples for chunk in chunks]), SAMPLES)
        assert source.finished == (name != "lsl")
        offset_s = source.clock_offset_s(0.2)
        assert math.isnan(offset_s) or abs(offset_s) < 1
        source.close()
        source.close()


@pytest.mark.parametrize("name", MAKERS)
def test_closing_before_opening_is_harmless(name):
    with MAKERS[name]() as source:
        source.close()
        source.open()  # and the sender of the live one finds its listener
        source.close()


# What a pipeline file has to say of each, beside its name.
REQUIRED = {"replay": {"file": "simulated-session.xdf"}, "simulated": {"stream": "eeg", "montage": "muse"}}


@pytest.mark.parametrize("name", SOURCES)
def test_settings_make_a_source_that_is_not_open_yet(name):
    settings = SOURCES[name].model_validate({"source": name, **REQUIRED.get(name, {})})
    assert isinstance(settings, StreamSettings)
    assert settings.gap_s == 0.1
    assert SOURCES[name].model_validate(settings.model_dump(mode="json")) == settings
    recordings = Path(__file__).resolve().parents[2] / "recordings"
    source = settings.make_source(Environment(time.monotonic, print, lambda: False, recordings, "EEG"))
    assert not source.finished
    assert isinstance(source.info, StreamInfo)
    source.close()


def test_every_built_in_source_has_its_case():
    assert set(MAKERS) <= set(SOURCES)
