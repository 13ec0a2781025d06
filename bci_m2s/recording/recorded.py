"""Recorded files as streams, whatever their format.

Every stream of a file becomes one ``RecordedStream`` with the sender's own stamps. Nothing is repaired
here: backward stamps, gaps, empty streams and duplicate labels stay as they were recorded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import RecordingError, StreamError, nearest
from bci_m2s.lsl.formats import RESULT_TYPES, sent_stamps_info
from bci_m2s.lsl.markers import MarkerReader, is_marker_stream
from bci_m2s.recording.clock_runs import Run, clock_runs, offsets_s
from bci_m2s.recording.clock_warnings import APART_S, clock_warnings
from bci_m2s.recording.e4_files import leading_file
from bci_m2s.recording.file_settings import FileSettings, settings_for
from bci_m2s.registry import load_class
from bci_m2s.text import printable, typed
from bci_m2s.types import FloatArray, StreamInfo

# File name endings and the reader of each ("module:function", loaded on use: mne takes a second).
READERS = {
    ".xdf": "bci_m2s.recording.read_xdf:read_xdf",
    ".edf": "bci_m2s.recording.read_mne:read_raw",
    ".bdf": "bci_m2s.recording.read_mne:read_raw",
    ".fif": "bci_m2s.recording.read_mne:read_raw",
    ".fif.gz": "bci_m2s.recording.read_mne:read_raw",
    ".vhdr": "bci_m2s.recording.read_mne:read_raw",
    ".csv": "bci_m2s.recording.tables.read_table:read_table",
    ".tsv": "bci_m2s.recording.tables.read_table:read_table",
    ".parquet": "bci_m2s.recording.tables.read_table:read_table",
    ".zip": "bci_m2s.recording.empatica:read_e4",  # or a folder of its files
    ".avro": "bci_m2s.recording.embrace:read_embrace",
}
TABLES = (".csv", ".tsv", ".parquet")
TOLD = (*TABLES, ".edf", ".bdf", ".fif", ".fif.gz", ".vhdr")  # whose readers heed what is said of files


@dataclass(frozen=True, slots=True, eq=False)
class RecordedStream:
    """One stream of a file.

    info : as the sender described it; markers have ``channel_format`` "string"
    times : (n,) float64, the sender's clock, s, as recorded
    read : ``read(start, stop)`` returns samples (stop - start, channels), object (str) for strings
    clock_offsets : (k, 2) float64: when measured (sender's clock, s), and what to add to a stamp to
        get the recorder's clock (s); empty when the file has one clock
    behind_s : what to add to a stamp to get the recorder's clock when the sample came, by the order of the
        file, s; NaN where the file does not show it
    durations_s : (n,) how long each marker lasts, s, NaN where it does not say; None where none does
    columns : what else a table of events says of each marker, (n,) texts by column
    offset_places : (k,) how many samples stood in the file before each clock offset; (0,) where not known
    """

    info: StreamInfo
    times: FloatArray
    read: Callable[[int, int], NDArray[Any]]
    clock_offsets: FloatArray = field(default_factory=lambda: np.empty((0, 2)))
    behind_s: float = float("nan")
    durations_s: FloatArray | None = None
    columns: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    offset_places: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))

    @property
    def n_samples(self) -> int:
        """Number of samples; may be 0."""
        return len(self.times)

    @property
    def first_s(self) -> float:
        """First stamp, NaN when the stream is empty."""
        return float(self.times[0]) if self.n_samples else float("nan")

    @property
    def last_s(self) -> float:
        """Last stamp, NaN when the stream is empty."""
        return float(self.times[-1]) if self.n_samples else float("nan")

    @property
    def is_text(self) -> bool:
        """Whether the samples are strings (markers)."""
        return self.info.channel_format == "string"

    @property
    def is_markers(self) -> bool:
        """Whether the samples are markers of a sender, as texts, codes or levels."""
        return is_marker_stream(self.info)

    def as_markers(self, column: str = "") -> RecordedStream:
        """The markers of a stream of them as one channel of texts; see ``MarkerReader``.

        column : whose texts they have, of a table of events or of a channel; "" for the usual one
        """
        if column in self.column_names:
            texts = self._column(column)[:, None]
            info = replace(self.info, labels=("marker",), units=("",))
            return replace(self, info=info, read=lambda start, stop: texts[start:stop])
        read = MarkerReader(self.info).take(self.times, self.read(0, self.n_samples))
        texts = np.array([text for _, text in read], dtype=object)[:, None]
        texts.setflags(write=False)
        info = replace(self.info, rate_hz=0.0, labels=("marker",), units=("",), channel_format="string")
        times = np.array([time_s for time_s, _ in read], dtype=np.float64)
        lasting = self.durations_s if self.is_text else None  # of a text each is a marker
        kept = np.flatnonzero(np.isin(self.times, times))
        places = np.searchsorted(kept, self.offset_places) if len(kept) == len(times) else None
        return RecordedStream(
            info,
            times,
            lambda start, stop: texts[start:stop],
            self.clock_offsets,
            durations_s=lasting,
            offset_places=np.empty(0, np.intp) if places is None else places,
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Of a table of events, or the channels of texts where there are several."""
        named = tuple(label for label in self.info.labels if label)
        return tuple(self.columns) or (named if self.is_text and len(named) > 1 else ())

    def _column(self, name: str) -> NDArray[Any]:
        """Texts (n,) of one of ``column_names``."""
        if self.columns:
            return self.columns[name]
        texts: NDArray[Any] = self.read(0, self.n_samples)[:, self.info.labels.index(name)]
        return texts

    def on_arrival(self) -> RecordedStream:
        """The stream with stamps that are moved to the time at which its samples came into the file.

        Their spacing stays. Recorders write every half second or so, and that is how exact it is.
        """
        late_s = [self.behind_s - run.offset_s for run in self.runs()]
        near_s = [late for late in late_s if abs(late) <= APART_S]
        behind_s: FloatArray | float = self.behind_s
        if len(late_s) > 1 and near_s:  # stamps of a clock that began again, not of another one
            behind_s = self.offsets_s() + min(near_s, key=abs)
        return replace(self, times=self.times + behind_s, clock_offsets=np.empty((0, 2)))

    def runs(self) -> list[Run]:
        """The runs of the sender's clock, in the order of the file: more than one where it began again."""
        return clock_runs(self.times, self.clock_offsets, self.offset_places)

    def offsets_s(self) -> FloatArray:
        """Return (n,): the offset of each stamp to the clock that all streams share.

        In each run of the sender's clock it is the median of the offsets that were measured, so that the
        spacing of stamps stays as recorded; or, where these show a drift, the line through them. A run ends
        where offsets differ by more than a second, for instance when the sender's computer restarted, and
        the order of the file decides which stamps belong to it. A measurement that no stamp agrees with is
        faulty.
        """
        return offsets_s(self.times, self.runs())


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A file's streams in their order in the file, and warnings about it.

    line_hz : line frequency where it was recorded, NaN where nothing says it
    unix_s : Unix time of stamp 0, NaN where nothing says it
    damaged : how many places of the file cannot be read; what they are is among the warnings
    """

    path: Path
    streams: tuple[RecordedStream, ...]
    warnings: list[str] = field(default_factory=list)
    line_hz: float = float("nan")
    unix_s: float = float("nan")
    damaged: int = 0

    @property
    def damage(self) -> str:
        """That the file is damaged, and what helps, in a line; "" for one that is whole."""
        places = f"{self.damaged} place{'s' * (self.damaged > 1)}"
        what = f"DAMAGED or incomplete, at {places}: all figures are of what can be read"
        return f"{what}; {recover_hint(self.path)}" if self.damaged else ""

    @property
    def raw_streams(self) -> tuple[RecordedStream, ...]:
        """The streams of senders: all but the estimates and events that a session added."""
        return tuple(stream for stream in self.streams if stream.info.type not in RESULT_TYPES)

    @property
    def markers(self) -> tuple[RecordedStream, ...]:
        """Every marker stream of a sender that holds markers, as texts."""
        return self.markers_by("")

    def markers_by(self, column: str) -> tuple[RecordedStream, ...]:
        """The same with the texts of a column, where there are columns; see ``RecordedStream.as_markers``.

        Raises RecordingError where markers have columns, and none of this name.
        """
        streams = [stream for stream in self.raw_streams if stream.is_markers and stream.n_samples]
        columns = sorted({name for stream in streams for name in stream.column_names})
        if column and columns and column not in columns:
            raise RecordingError(
                f"{self.path}: markers have no column {column!r}{nearest(column, columns)}"
            )
        if column:
            streams = [stream for stream in streams if not columns or column in stream.column_names]
        texts = (stream.as_markers(column) for stream in streams)
        return tuple(stream for stream in texts if stream.n_samples)

    def find(
        self,
        name: str = "",
        stream_type: str = "",
        source_id: str = "",
        host: str = "",
        fits: Callable[[StreamInfo], bool] = lambda _info: True,
    ) -> RecordedStream:
        """Return the one stream that is meant; "" for any. An empty one only where no other is.

        fits : decides between several that are meant

        Raises
        ------
        StreamError
            No stream is meant, or several are; with what the file holds.
        """
        wanted = {"name": name, "type": stream_type, "source_id": source_id, "host": host}
        wanted = {field: text for field, text in wanted.items() if text}
        matching = [stream for stream in self.streams if _is_meant(stream.info, wanted)]
        for is_better in (lambda stream: stream.n_samples > 0, lambda stream: fits(stream.info)):
            if len(matching) > 1:
                matching = [stream for stream in matching if is_better(stream)] or matching
        if len(matching) == 1:
            return matching[0]
        listed = "; ".join(
            f"{stream.info.describe()}, source id {stream.info.source_id!r}, {stream.n_samples} samples"
            for stream in self.streams
        )
        count = "no stream has" if not matching else f"{len(matching)} streams have"
        words = " and ".join(f"{field.replace('_', ' ')} {text!r}" for field, text in wanted.items())
        way = "; a pipeline's `source_id`, or --stream MODALITY=SOURCE_ID, says which" if matching else ""
        raise StreamError(f"{self.path}: {count} {words}{way}; the file holds: {listed or 'no stream'}")

    def stamped(self, stream: RecordedStream, stamps: str) -> RecordedStream:
        """A stream of this file with its stamps as a pipeline wants them: "sent" or "arrival".

        Raises RecordingError where the file does not show when samples came.
        """
        beside = sent_stamps_info(stream.info)
        kinds = [(other.info.name, other.info.type) for other in self.streams]
        done = (beside.name, beside.type) in kinds
        if stamps == "sent" or done:
            return stream
        if not math.isfinite(stream.behind_s):
            raise RecordingError(
                f"{self.path}: stream {stream.info.name!r}: stamps: got 'arrival', but the file does not "
                "show when samples came; expected 'sent'"
            )
        return stream.on_arrival()

    def pick(self, wanted: Sequence[str]) -> tuple[RecordedStream, ...]:
        """Return the streams whose name or type is in `wanted` (all when it is empty).

        Raises
        ------
        RecordingError
            When an entry of `wanted` is neither a name nor a type in this file.
        """
        known = sorted({word for stream in self.streams for word in (stream.info.name, stream.info.type)})
        for word in wanted:
            if word not in known:
                raise RecordingError(
                    f"{self.path}: no stream named or of type {word!r}{nearest(word, known)}"
                )
        return tuple(
            stream
            for stream in self.streams
            if not wanted or stream.info.name in wanted or stream.info.type in wanted
        )


def _is_meant(info: StreamInfo, wanted: Mapping[str, str]) -> bool:
    """Whether every wanted field is the stream's, the type in any case."""
    return all(
        text.casefold() == info.type.casefold() if field == "type" else text == getattr(info, field)
        for field, text in wanted.items()
    )


def recover_hint(path: Path) -> str:
    """What can be done about a damaged XDF file."""
    return f"bci-m2s recover {typed(path)} writes a copy of everything that is whole and says what is lost"


def open_recording(path: str | Path, files: Sequence[FileSettings] = ()) -> Recording:
    """Open a recorded file: XDF, EDF(+), BDF(+), FIF, BrainVision, a table (CSV, TSV, Parquet), or an
    export of an Empatica E4 (zip or folder) or EmbracePlus (Avro).

    XDF is loaded whole; the other kinds are read piece by piece when samples are needed.

    Parameters
    ----------
    files : what is said of files that do not say it themselves

    Raises
    ------
    RecordingError
        One line with file and cause when it is missing, empty, of an unknown kind, or unreadable. A
        file that is damaged but partly readable opens; ``Recording.warnings`` lists what is lost.
    """
    path = Path(path)
    try:
        lead = leading_file(path)
        kind = ".zip" if lead is not None else file_kind(path)
        told = {"settings": settings_for(path, files)} if kind in TOLD else {}
        recording: Recording = load_class(READERS, kind)(lead or path, **told)
    except OSError as problem:
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    recording.warnings.extend(clock_warnings(recording.raw_streams))
    return recording


def _check_file(path: Path) -> None:
    if "\0" in str(path):
        raise RecordingError(f"{str(path)!r}: not a file name")
    if path.is_dir():
        raise RecordingError(f"{path}: is a folder, expected a file")
    size = path.stat().st_size
    if not path.is_file():
        raise RecordingError(f"{path}: is not a regular file")
    if size == 0:
        raise RecordingError(f"{path}: is empty (0 bytes)")


def file_kind(path: Path) -> str:
    """The ending that says which reader a file needs. Raises RecordingError for a file that is none."""
    try:
        _check_file(path)
    except FileNotFoundError:
        raise RecordingError(f"{path}: no such file") from None
    except OSError as problem:
        raise RecordingError(f"{path}: cannot be read: {printable(problem, 300)}") from None
    name = path.name.lower()
    for ending in READERS:
        if name.endswith(ending):
            return ending
    if name.endswith((".eeg", ".vmrk")):
        raise RecordingError(f"{path}: part of a BrainVision recording; open its header, the .vhdr file")
    raise RecordingError(f"{path}: unknown kind of recording; known: {', '.join(READERS)}")
