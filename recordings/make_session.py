"""Record the session that comes with the project: a simulated person, and what goes wrong on purpose.

    python recordings/make_session.py FOLDER

A 62-channel headset at 250 Hz, an eye tracker and markers are sent as real LSL streams by another process;
`bci-m2s run` itself records them, with `modality: auto`. FOLDER/session.xdf is the recording.

    20 s   the baseline at rest is over, trials of 10 s begin
    34 s   channel T7 is loose for 6 s (noisy): replaced by the training mean
    52 s   the headset sends nothing for 6 s: estimates come from the eyes
    72 s   20 channels hang dry for 8 s (flat): too many, estimates come from the eyes
    96 s   the end
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml

from bci_m2s.lsl.configuration import inherit, lsl_on_this_machine
from bci_m2s.sources.simulated import SimulatedSource
from bci_m2s.types import Chunk

DURATION_S = 96.0
LOOSE_S, LOOSE = (34.0, 40.0), "T7"
OUTAGE_S = (52.0, 58.0)
DRY_S, DRY = (72.0, 80.0), 20
SIMULATED = {"rest_s": 20.0, "trial_s": 10.0, "seed": 0, "eeg_rate_hz": 250.0, "order": "balanced"}
SUBJECT = 1001
PIPELINE = {
    "model": "demo-62ch-eye",
    "modality": "auto",
    "streams": {"eeg": {"name": "Simulated EEG"}, "eye": {"name": "Simulated eye tracker"}},
    "markers": {"name": "Simulated markers"},
}


class Troubled(SimulatedSource):
    """The simulated headset with a loose electrode, an outage and dry electrodes."""

    def open(self) -> None:
        """Begin."""
        super().open()
        self._begun_s = float("nan")
        self._rng = np.random.default_rng(1)

    def pull(self, timeout_s: float) -> Chunk:
        """The next chunk, in whatever state it is."""
        chunk = super().pull(timeout_s)
        if not len(chunk):
            return chunk
        if np.isnan(self._begun_s):
            self._begun_s = float(chunk.times[0])
        since_s = chunk.times - self._begun_s
        samples = chunk.samples.copy()
        loose = np.flatnonzero(_within(since_s, LOOSE_S))
        noise = 400.0 * self._rng.normal(size=len(loose))
        samples[loose, self.info.labels.index(LOOSE)] += noise.astype(samples.dtype)
        samples[_within(since_s, DRY_S), :DRY] = 0.0
        sent = ~_within(since_s, OUTAGE_S)
        return Chunk(chunk.times[sent], samples[sent], chunk.received_s[sent])


def _within(since_s: np.ndarray, span_s: tuple[float, float]) -> np.ndarray:
    return (since_s >= span_s[0]) & (since_s < span_s[1])


def send() -> None:
    """The sending process: until its standard input closes."""
    inherit()
    import threading

    from bci_m2s.lsl.network import local_clock
    from bci_m2s.simulator import SimulatorSettings
    from bci_m2s.sources.sender import Sender
    from bci_m2s.sources.timeline import Timeline

    settings, timeline = SimulatorSettings(**SIMULATED), Timeline(clock=local_clock)
    options = {"subject": SUBJECT, "speed": 1.0, "timeline": timeline}
    kinds = {"eeg": Troubled, "eye": SimulatedSource, "markers": SimulatedSource}
    with Sender([kind(settings, stream, **options) for stream, kind in kinds.items()]) as sender:
        print("ready", flush=True)
        sender.wait_for_consumers(60.0)
        stop = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
        sender.run(None, stop)


def record(folder: Path) -> None:
    """Run the session."""
    from bci_m2s.commands.run import Options, run_session

    with tempfile.TemporaryDirectory() as scratch, lsl_on_this_machine():
        pipeline = Path(scratch) / "simulated-session.yaml"
        pipeline.write_text(yaml.safe_dump(PIPELINE), encoding="utf-8")
        command = [sys.executable, __file__, "send"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sender:
            assert sender.stdout is not None
            sender.stdout.readline()
            run_session(str(pipeline), Options(DURATION_S, folder, notes={"simulated_signals": SIMULATED}))
            assert sender.stdin is not None
            sender.stdin.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    send() if sys.argv[1] == "send" else record(Path(sys.argv[1]))
