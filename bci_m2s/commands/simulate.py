"""``bci-m2s simulate``, live or into a file, and sending any sources as LSL streams until Ctrl-C."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from bci_m2s.errors import OutputError
from bci_m2s.files.access import make_private_folder
from bci_m2s.lsl.channel_names import default_labels
from bci_m2s.recording.xdf_writer import XdfWriter
from bci_m2s.session.terminal.run import stop_on_signals
from bci_m2s.session.terminal.view import make_console
from bci_m2s.simulator import SimulatedSession
from bci_m2s.simulator.devices import DEVICES
from bci_m2s.simulator.markers import MarkedTrial
from bci_m2s.simulator.settings import SimulatorSettings
from bci_m2s.sources import Source
from bci_m2s.types import StreamInfo

SENT = ("eeg", "eye")


def simulate_as_lsl(
    settings: SimulatorSettings,
    subject: int,
    session: int,
    duration_s: float,
    streams: Sequence[str] = SENT,
    participants: int = 0,
) -> None:
    """``bci-m2s simulate``.

    streams : beside the markers; participants : how many people instead of `subject` alone, the first of
    them: p01, p02 … are part of their streams' names
    """
    from bci_m2s.lsl.network import local_clock
    from bci_m2s.sources.simulated import SimulatedSource
    from bci_m2s.sources.timeline import Timeline

    print("signals are simulated")
    timeline, sources = Timeline(clock=local_clock), list[Source]()
    for number, name in enumerate(participant_ids(participants) or [""]):
        fixed: Mapping[str, Any] = {"subject": subject + number, "session": session, "speed": 1.0}
        for stream in (*streams, "markers"):
            source = SimulatedSource(settings, stream=stream, timeline=timeline, **fixed)
            info = _as_sent(source.info, settings.montage) if stream == "eeg" else source.info
            source.info = replace(info, name=f"{info.name} {name}".strip())
            sources.append(source)
    send(sources, duration_s)


def participant_ids(count: int) -> list[str]:
    """Ids of so many participants: p01, p02 …"""
    return [f"p{number:02d}" for number in range(1, count + 1)]


def _as_sent(info: StreamInfo, montage: str | tuple[str, ...]) -> StreamInfo:
    """The EEG without what the device's own sender leaves out: labels, unit."""
    device = DEVICES.get(montage) if isinstance(montage, str) else None
    if device is None:
        return info
    labels = info.labels if device.has_labels else default_labels(info.n_channels)
    return replace(info, labels=labels, units=info.units if device.has_unit else ("",) * len(labels))


TRIALS_OF_EACH = 4  # in a file of no given length
PIECE_S = 1.0  # of every stream, after which a damaged file can be read on


def simulate_to_file(
    settings: SimulatorSettings,
    subject: int,
    session: int,
    duration_s: float,
    path: Path,
    streams: Sequence[str] = SENT,
) -> None:
    """``bci-m2s simulate --output``: what would be sent, stamped from now on, in a new XDF file.

    duration_s : 0 for ``TRIALS_OF_EACH`` trials of each class

    Raises
    ------
    OutputError
        The file exists, or cannot be written.
    """
    from bci_m2s.lsl.network import local_clock

    console, stop, begun = make_console(), threading.Event(), time.monotonic()
    person = SimulatedSession(settings, subject, session)
    n_trials = TRIALS_OF_EACH * len(settings.classes)
    length_s = duration_s or settings.rest_s + n_trials * (settings.trial_s + settings.pause_s)
    try:
        make_private_folder(path.parent)
    except OSError as problem:
        raise OutputError(f"{path.parent}: cannot be made: {problem.strerror}") from None
    writer = XdfWriter(path)
    with stop_on_signals(stop), Progress(console=console, transient=True) as progress:
        task = progress.add_task("simulating", total=length_s)
        done_s = _write_session(
            person,
            writer,
            local_clock(),
            length_s,
            streams,
            stop,
            lambda at_s: progress.update(task, completed=at_s),
        )
    if writer.problem or writer.lost_samples:
        raise OutputError(f"{path}: {writer.problem or f'{writer.lost_samples} samples are missing'}")
    for info in (*(getattr(person, f"{name}_info") for name in streams), person.marker_info):
        console.print(f"wrote {info.describe()}")
    was_stopped = "stopped: " if stop.is_set() else ""
    n_trials = sum(trial.stop_s <= done_s for trial in _trials(person, done_s))
    console.print(
        f"{was_stopped}{path}: subject {subject}, {done_s:g} s, complete trials: {n_trials}, "
        f"{writer.bytes_written / 1e6:.1f} MB, in {time.monotonic() - begun:.1f} s; signals are simulated"
    )


def _write_session(
    person: SimulatedSession,
    writer: XdfWriter,
    begin_s: float,
    length_s: float,
    streams: Sequence[str],
    stop: threading.Event,
    on_progress: Callable[[float], None],
) -> float:
    """Write piece by piece, all streams of a piece together; return how much there is, s."""
    infos = {name: getattr(person, f"{name}_info") for name in streams}
    infos = {
        name: _as_sent(info, person.settings.montage) if name == "eeg" else info
        for name, info in infos.items()
    }
    signals = [(info, getattr(person, name)) for name, info in infos.items()]
    ids = [writer.add_stream(info) for info, _ in signals]
    marker_id = writer.add_stream(person.marker_info)
    marker, at_s = 0, 0.0
    try:
        while at_s < length_s and not stop.is_set():
            end_s = min(at_s + PIECE_S, length_s)
            for stream, (info, read) in zip(ids, signals, strict=True):
                first, last = (math.ceil(edge * info.rate_hz - 1e-6) for edge in (at_s, end_s))
                writer.samples(stream, begin_s + np.arange(first, last) / info.rate_hz, read(first, last))
            while marker < person.n_markers and person.marker(marker)[0] < end_s:
                time_s, text = person.marker(marker)
                writer.samples(marker_id, np.array([begin_s + time_s]), np.array([[text]], dtype=object))
                marker += 1
            writer.boundary()
            writer.flush()
            at_s = end_s
            on_progress(at_s)
    finally:
        writer.close()
    return at_s


def _trials(person: SimulatedSession, length_s: float) -> list[MarkedTrial]:
    """The trials that begin within so many seconds."""
    slot_s = person.settings.trial_s + person.settings.pause_s
    count = max(0, math.ceil((length_s - person.settings.rest_s) / slot_s))
    return [person.schedule.trial(index) for index in range(count)]


def send(sources: Sequence[Source], duration_s: float) -> None:
    """Offer sources as LSL streams until they end, `duration_s` has passed (0: no limit) or Ctrl-C."""
    from bci_m2s.sources.sender import Sender

    stop = threading.Event()
    with stop_on_signals(stop), Sender(sources) as sender:
        for info in sender.infos:
            print(f"sending {info.describe()}, source id {info.source_id!r}", flush=True)
        print("Ctrl-C ends", flush=True)
        counts = sender.run(duration_s or None, stop)
        for info, count in zip(sender.infos, counts, strict=True):
            print(f"sent {count} samples of {info.name!r} ({info.type})")
