"""A recording for people who analyse it: what it holds, its trials, and MNE's Raw of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bci_m2s.recording.as_raw import read_raw
from bci_m2s.recording.e4_files import leading_file
from bci_m2s.recording.file_names import recording_in
from bci_m2s.recording.guided import guided_markers
from bci_m2s.recording.recorded import Recording, file_kind
from bci_m2s.recording.trials import GuidedTrial, read_trials
from bci_m2s.recording.xdf_skim import skim_recording
from bci_m2s.types import StreamInfo

if TYPE_CHECKING:
    import mne


@dataclass(frozen=True)
class OpenedRecording:
    """A recording of which nothing is read before it is asked for. path : of its file."""

    path: Path

    @cached_property
    def streams(self) -> tuple[StreamInfo, ...]:
        """Every stream of the file: name, type, sampling rate in Hz, channel labels and units.

        Raises RecordingError where the file cannot be read.
        """
        return tuple(stream.info for stream in self._headers.streams)

    def trials(self) -> list[GuidedTrial]:
        """Every attempt at a trial of a guided session, with its label, times and answers; of others none.

        Times are in seconds on the recording's clock, as in ``trials.csv``. Later takes are recordings of
        their own. Raises RecordingError where the file cannot be read.
        """
        return read_trials(guided_markers(self._headers))

    def to_mne(self, stream: str = "", *, unit: str = "microvolts") -> mne.io.BaseRaw:
        """Return one stream as MNE's Raw, with markers, gaps and events as annotations.

        Of an XDF file, ours or another program's, a table or a watch's export, it is loaded whole. Voltages
        are in volts, pupil diameters in metres where they were in millimetres, gaze in radians where it was
        in degrees; every other quantity stays as it was sent. EEG channels that have the name of an
        electrode get its position. Gaps, found by the stamps, are filled by straight lines and annotated
        ``BAD_gap``; one longer than ``LONGEST_GAP_S`` is shortened to that. A Raw has the rate that the
        stream states, or that of its stamps where it is more than 1 % off, which is said. Markers become
        annotations of their own text, events of a session of ours of their kind and message. What lies
        outside the stream's time is left out.

        An EDF, BDF, FIF or BrainVision file is opened by MNE, all of its channels, not loaded. MNE knows of
        no pause in it: each is annotated ``BAD boundary``, without a duration, and the time axis goes on.
        BrainVision's comments stand without MNE's prefix ``Comment/``.

        Parameters
        ----------
        stream : name or type of a stream, not where MNE opens the file; "" for the EEG, or the only one
            with a sampling rate
        unit : of voltages where an XDF, EDF or BDF file does not say any

        Warns
        -----
        RuntimeWarning
            What is odd or damaged about the file.

        Raises
        ------
        RecordingError
            The file cannot be read, or the stream has no sampling rate.
        StreamError
            No stream fits `stream`, or several do.
        """
        raw, said = read_raw(self.path, stream, unit)
        for text in said:
            warnings.warn(f"{self.path}: {text}", RuntimeWarning, stacklevel=2)
        return raw

    @cached_property
    def _headers(self) -> Recording:
        return skim_recording(self.path)


def open_recording(path: str | Path) -> OpenedRecording:
    """Open a recording; ``open_recording(path).to_mne()`` is MNE's Raw with annotations.

    Parameters
    ----------
    path : XDF, EDF, BDF, FIF, BrainVision, a table (CSV, TSV, Parquet), an export of an Empatica E4 or
        EmbracePlus, or a session's folder

    Raises
    ------
    RecordingError
        There is no such file, it is empty or of an unknown kind, or a folder holds no recording.
    """
    file = recording_in(Path(path))
    file_kind(leading_file(file) or file)
    return OpenedRecording(file)
