"""What there is to make a model from: streams on the network, in recordings, or of a device by its name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.lsl.channel_names import default_labels
from bci_m2s.lsl.markers import is_marker_stream
from bci_m2s.recording.file_names import subject_and_session
from bci_m2s.recording.guided import trial_streams
from bci_m2s.recording.recorded import RecordedStream, Recording, open_recording
from bci_m2s.recording.together import open_together
from bci_m2s.recording.xdf_skim import skim_recording
from bci_m2s.signal.labels import find_channels
from bci_m2s.signal.quality import rate_verdict
from bci_m2s.simulator.devices import Device
from bci_m2s.training.datasets.markers import MarkerEvent
from bci_m2s.training.datasets.recorded_files import recorded_together, recordings_below
from bci_m2s.training.new.electrodes import find_electrodes
from bci_m2s.training.new.skin import conductance
from bci_m2s.training.new.stamps import astray_in_recording
from bci_m2s.training.new.trackers import Tracker, recognise
from bci_m2s.types import TRIAL_START, StreamInfo

FEWEST_STAMPS = 100  # that show a rate
MOST_FILES = 12  # of a folder; the others are as these
SIMULATED = "bci_m2s-simulated-"  # of source ids
_ELECTRODE = re.compile(r"(?i)(n|fp|aff?|f|f?ft|f?fc|f?t|c|t?tp|c?cp|p|p?po|o|i|a|m|cb)(z|\d{1,2})h?")
_EYE_TYPES = ("gaze", "eyetracker", "eyetracking", "eye", "et")


@dataclass(frozen=True)
class Marked:
    """One recording's markers, and when its signals begin and end on the same clock, s."""

    events: list[MarkerEvent]
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Found:
    """What was looked at.

    eeg, eye, skin : streams that could serve; the first is the likeliest
    marked : markers of each recording; [] for a network
    people : number of people in recordings, 0 where there are none; root : folder of the recordings
    line_hz : mains frequency that recordings state, NaN where they do not
    rates_hz : by name, sampling rate of each stream of the first recording that states none or a false one
    astray : names of streams whose stamps are not LSL time
    where : what was looked at, in words; notes : what to know of it
    """

    eeg: list[StreamInfo]
    eye: list[StreamInfo]
    skin: list[StreamInfo] = field(default_factory=list)
    marked: list[Marked] = field(default_factory=list)
    people: int = 0
    root: Path | None = None
    line_hz: float = math.nan
    rates_hz: Mapping[str, float] = field(default_factory=dict)
    astray: frozenset[str] = frozenset()
    where: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The text of every marker."""
        return [event.text for one in self.marked for event in one.events]

    @property
    def is_simulated(self) -> bool:
        """Whether the signals come from the simulator."""
        return any(SIMULATED in info.source_id for info in (*self.eeg, *self.eye, *self.skin))


def look_at_streams(infos: Sequence[StreamInfo], where: str) -> Found:
    """Sort streams into EEG, eye trackers and skin conductance; what is none of them is named.

    Skin conductance beside EEG or gaze is named too, since it is used only where it is asked for.
    """
    eye = [info for info in infos if not _is_eeg(info) and recognise(info) and info.rate_hz >= 0]
    eeg = [info for info in infos if _is_eeg(info) and find_electrodes(info).kept]
    if not eeg:
        eeg = [info for info in infos if info not in eye and _has_electrodes(info)]
    eye.sort(key=lambda info: info.type.casefold() not in _EYE_TYPES)
    eeg.sort(key=lambda info: -len(find_electrodes(info).kept))
    skin = [info for info in infos if info not in eeg and info not in eye and conductance(info)]
    notes = []
    for info in infos:
        if _is_eeg(info) and info not in eeg:
            notes.append(
                f"stream {info.name!r}: {info.n_channels} channels without usable labels; not used"
            )
        elif info not in (*eye, *eeg, *skin) and not is_marker_stream(info):
            notes.append(f"stream {info.name!r} of type {info.type!r}: no EEG, gaze or skin; not used")
    return Found(eeg, eye, skin, where=where, notes=notes)


def look_at_device(device: Device | None, tracker: Tracker | None) -> Found:
    """The streams that a device and a tracker send, as their programs describe them."""
    eeg, eye = [], []
    if device is not None:
        n = len(device.channels)
        eeg.append(
            StreamInfo(
                name=device.stream_name,
                type=device.stream_type,
                rate_hz=device.rate_hz,
                labels=device.channels if device.has_labels else default_labels(n),
                units=("microvolts" if device.has_unit else "",) * n,
            )
        )
    if tracker is not None:
        labels = tuple(dict.fromkeys(tracker.columns.values()))
        eye.append(
            StreamInfo(
                name=tracker.stream_name,
                type=tracker.stream_type,
                rate_hz=tracker.rate_hz if tracker.states_hz is None else tracker.states_hz,
                labels=labels,
                units=("",) * len(labels),
            )
        )
    titles = [one.title for one in (device, tracker) if one is not None]
    rates_hz = {tracker.stream_name: tracker.rate_hz} if tracker and tracker.states_hz is not None else {}
    return Found(eeg, eye, rates_hz=rates_hz, where=" and ".join(titles))


def look_at_recordings(path: Path, progress: Callable[[str], None]) -> Found:
    """The streams and markers of the recordings in a folder and below, or of one.

    A file below a folder `sub-…` stands for all recordings beside that folder. Any other file that lies
    among others is an example, and of no person.

    progress : told each file's name before it is read

    Raises
    ------
    RecordingError
        Nothing there can be read.
    """
    root = path if path.is_dir() else _root_of(path)
    is_one = root == path.parent and not path.is_dir()  # a file that no folder calls a person's
    together = [] if is_one else recorded_together(recordings_below(root))
    files = [tuple(one.path for one in group) for group in together] or [(path,)]
    people = {subject_and_session(file.relative_to(root))[0] for file, *_ in files}
    is_example = is_one and len(recordings_below(root)) > 1
    chosen = files[:: math.ceil(len(files) / MOST_FILES)]
    recordings: list[Recording] = []
    problems: list[str] = []
    for group in chosen:
        progress(group[0].name)
        try:
            # the first one whole: its rate counts, not what the sender states
            opener = skim_recording if recordings else open_recording
            recordings.append(open_together(group, open_one=opener))
        except RecordingError as problem:
            problems.append(str(problem))
    if not recordings:
        raise RecordingError(problems[0])
    infos = _common([_sent(recording) for recording in recordings])
    where = f"{len(files)} recording{'s' if len(files) > 1 else ''} of {_people(len(people))} in {root}"
    found = look_at_streams(infos, where)
    marked = [_marked(recording) for recording in recordings]
    notes = [*problems, *found.notes]
    if len(chosen) < len(files):
        notes.append(f"{len(chosen)} of {len(files)} recordings were looked into")
    line_hz = next((one.line_hz for one in recordings if math.isfinite(one.line_hz)), math.nan)
    return replace(
        found,
        marked=marked,
        people=0 if is_example else len(people),
        root=root,
        line_hz=line_hz,
        rates_hz=dict(_true_rates(recordings[0])),
        astray=frozenset(astray_in_recording(recordings[0])),
        notes=notes,
    )


def _people(count: int) -> str:
    return f"{count} {'person' if count == 1 else 'people'}"


def _root_of(file: Path) -> Path:
    """The folder above the first that names a person, else the file's own."""
    named = [parent for parent in file.parents if parent.name.startswith("sub-")]
    return named[-1].parent if named else file.parent


def _true_rates(recording: Recording) -> Iterator[tuple[str, float]]:
    for stream in recording.raw_streams:
        if stream.n_samples < FEWEST_STAMPS or stream.is_text or stream.is_markers:
            continue
        verdict = rate_verdict(stream.info.rate_hz, stream.times)
        if verdict.wrong and not verdict.reversed_share:
            yield stream.info.name, verdict.effective_hz
        elif not stream.info.rate_hz and (span_s := stream.last_s - stream.first_s) > 0:
            yield stream.info.name, (stream.n_samples - 1) / span_s


def _sent(recording: Recording) -> list[StreamInfo]:
    return [
        stream.info
        for stream in recording.raw_streams
        if stream.n_samples and not stream.is_text and not stream.is_markers
    ]


def _common(described: list[list[StreamInfo]]) -> list[StreamInfo]:
    """The streams of the first recording, with the channels that all have which hold such a stream."""
    common = []
    for info in described[0]:
        labels = list(info.labels)
        for others in described[1:]:
            alike = [other for other in others if other.type.casefold() == info.type.casefold()]
            same = [other for other in alike if other.name == info.name] or alike
            if len(same) == 1:
                columns = find_channels(labels, same[0].labels)
                labels = [label for label, found in zip(labels, columns, strict=True) if len(found) == 1]
        kept = [column for column, label in enumerate(info.labels) if label in labels]
        units = tuple(info.units[column] for column in kept) if info.units else ()
        common.append(replace(info, labels=tuple(info.labels[column] for column in kept), units=units))
    return [info for info in common if info.labels]


def _marked(recording: Recording) -> Marked:
    events: list[MarkerEvent] = []
    for stream in _marker_streams(recording):
        times = stream.times + stream.offsets_s()
        texts = stream.read(0, stream.n_samples)[:, 0]
        lasting = np.full(len(texts), np.nan) if stream.durations_s is None else stream.durations_s
        found = zip(times.tolist(), map(str, texts), lasting.tolist(), strict=True)
        events += [MarkerEvent(*event) for event in found if math.isfinite(event[0])]
    spans = [span for stream in recording.raw_streams if not stream.is_markers for span in _span(stream)]
    begin_s = min((begin for begin, _ in spans), default=math.nan)
    return Marked(sorted(events), begin_s, max((end for _, end in spans), default=math.nan))


def _marker_streams(recording: Recording) -> tuple[RecordedStream, ...]:
    """Those that say what the trials were, all where an experiment program showed them."""
    own = trial_streams(recording)
    texts = (str(row[0]) for stream in own for row in stream.read(0, stream.n_samples))
    return own if any(text.startswith(TRIAL_START) for text in texts) else recording.markers


def _span(stream: RecordedStream) -> Iterable[tuple[float, float]]:
    if stream.n_samples and not stream.is_text:
        times = stream.times + stream.offsets_s()
        yield float(times.min()), float(times.max())


def _is_eeg(info: StreamInfo) -> bool:
    return info.type.casefold() == "eeg" and info.channel_format != "string"


def _has_electrodes(info: StreamInfo) -> bool:
    """Whether most of a stream's labels are places of the 10-20 system and its extensions."""
    places = [label for label in info.labels if _ELECTRODE.fullmatch(label.strip())]
    return info.rate_hz > 0 and 2 * len(places) > info.n_channels
