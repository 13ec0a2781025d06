"""``bci_m2s.open_recording(path)``: what it says of a recording before it is a Raw."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bci_m2s
from bci_m2s.recording.recorder import Recorder
from bci_m2s.types import Chunk, StreamInfo

SHIPPED = Path(__file__).resolve().parents[2] / "recordings" / "simulated-session.xdf"


def test_streams_are_known_without_mne_and_without_samples() -> None:
    code = (
        "import sys, bci_m2s; opened = bci_m2s.open_recording(sys.argv[1]); "
        "print([one.describe() for one in opened.streams][:2], 'mne' in sys.modules, opened.trials())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, SHIPPED], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("[\"'Simulated EEG' (EEG, 250 Hz, 62 channels)\"")
    assert done.stdout.endswith("] False []\n")  # not guided, so there is no trial of a protocol


def test_a_session_has_its_trials(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "session.xdf", lambda: 0.0)
    info = StreamInfo("operator", "Markers", labels=("marker",), units=("",), channel_format="string")
    begin = json.dumps({"number": 1, "attempt": 1, "label": "calm", "block": 1, "item": ""})
    texts = ["session/start/x", f"trial/begin/{begin}", "trial/start/calm", "trial/stop/calm"]
    texts.append("trial/rating/1/valence/7")
    recorder.start()
    number, times = recorder.add_stream(info), np.arange(len(texts)) + 10.0
    recorder.samples(number, Chunk.of(times, np.array([[text] for text in texts], object)))
    recorder.close()
    opened = bci_m2s.open_recording(tmp_path)
    (trial,) = opened.trials()
    assert (trial.label, trial.start_s, trial.duration_s) == ("calm", 12.0, 1.0)
    assert dict(trial.ratings) == {"valence": "7"}
    with pytest.raises(bci_m2s.StreamError, match="no stream with a sampling rate"):
        opened.to_mne()
