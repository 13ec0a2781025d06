"""The built-in sources as a pipeline file names them; liblsl, mne and the simulator are loaded on use."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bci_m2s.sources import Environment, Name, Seconds, Source, StreamSettings

Index = Annotated[int, Field(ge=0)]


class LslStream(StreamSettings):
    """A live stream, found by whatever is given of name, type, source id and host."""

    source: Literal["lsl"] = "lsl"
    """A live stream."""
    name: Name = ""
    """Name of the stream; empty for any."""
    type: Name = ""
    """LSL type; where nothing is specified, the type that the model's contract names."""
    source_id: Name = ""
    """The sender's source id; empty for any."""
    host: Name = ""
    """Host name of the sender's machine; empty for any."""
    wait_s: Seconds = 10.0
    """How long to look for the stream."""

    def wanted(self, usual_type: str = "") -> dict[str, str]:
        """What the stream is found by. usual_type : its type where nothing is specified"""
        wanted = {key: getattr(self, key) for key in ("name", "type", "source_id", "host")}
        return wanted if any(wanted.values()) else {**wanted, "type": usual_type}

    def make_source(self, environment: Environment) -> Source:
        """All live streams of a process share one look at the network."""
        from bci_m2s.sources.arrival import ArrivalSource
        from bci_m2s.sources.lsl import MOST_SAMPLES, LslSource

        wanted = self.wanted(environment.stream_type)
        live = LslSource(
            wanted["name"],
            wanted["type"],
            wanted["source_id"],
            wanted["host"],
            wait_s=self.wait_s,
            notify=environment.notify,
            stopped=environment.stopped,
            heed_stamps=self.stamps == "sent",
        )
        return live if self.stamps == "sent" else ArrivalSource(live, MOST_SAMPLES)


class ReplayStream(StreamSettings):
    """A stream of a recorded file, played at its own pace; relative paths start at the YAML file."""

    source: Literal["replay"]
    """A stream of a recording."""
    file: Name
    """A recording: XDF, EDF, BDF, FIF, BrainVision, a table (CSV, TSV, Parquet), or an Empatica export."""
    name: Name = ""
    """Name of the stream in the file; empty for any."""
    type: Name = ""
    """Type of the stream in the file; empty for any."""
    loops: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How often the recording is played."""

    def make_source(self, environment: Environment) -> Source:
        """Raises RecordingError, or StreamError when the file has no such stream, or several."""
        from bci_m2s.recording.recorded import open_recording
        from bci_m2s.sources.replay import ReplaySource

        recording = open_recording(environment.folder / self.file)
        stream = recording.find(self.name, self.type or ("" if self.name else environment.stream_type))
        stream = recording.stamped(stream, self.stamps)
        return ReplaySource(stream, speed=1.0, loops=self.loops, clock=environment.clock)


class SimulatedStream(StreamSettings):
    """A stream of the simulator, made inside the engine."""

    source: Literal["simulated"]
    """A stream of a simulated person."""
    stream: Literal["eeg", "eye", "skin", "markers"]
    """Which of the simulator's streams."""
    montage: Name = "seed-62"
    """A name that `bci-m2s montages` lists, or that of a montage of mne."""
    subject: Index = 0
    """Which simulated person."""
    session: Index = 0
    """Which session of the person."""
    seed: Index = 0
    """Selects the population from which the person comes."""

    def make_source(self, environment: Environment) -> Source:
        """Raises ConfigurationError for a montage that nobody knows."""
        from bci_m2s.simulator.settings import SimulatorSettings
        from bci_m2s.sources.simulated import SimulatedSource

        simulator = SimulatorSettings(montage=self.montage, seed=self.seed)
        return SimulatedSource(
            simulator, self.stream, self.subject, self.session, speed=1.0, clock=environment.clock
        )
