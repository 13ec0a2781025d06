"""Which people, sessions and trials a training file's data hold, by their headers and markers."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from bci_m2s.errors import RecordingError
from bci_m2s.recording.xdf_skim import skim_recording
from bci_m2s.training.data.sessions import from_steps
from bci_m2s.training.data.splits import Listed
from bci_m2s.training.datasets import RAW, find_dataset
from bci_m2s.training.datasets.layout import DataSet, Problem, RawSegment, Trial
from bci_m2s.training.datasets.recorded_files import recordings_below
from bci_m2s.training.settings import TrainingSettings


@dataclass(frozen=True)
class Listing:
    """What the data hold.

    segments : of each session, for data sets whose headers tell; its streams and times
    problems : what is left out, and what is odd
    is_whole : false where only reading everything would tell which trials there are
    reads_features : features are taken as distributed, of every modality
    """

    data_set: DataSet
    sessions: list[Listed]
    segments: list[list[RawSegment]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    is_whole: bool = True
    reads_features: bool = False


def list_sessions(settings: TrainingSettings) -> Listing:
    """List the sessions of a training file's data without reading samples.

    Data sets that keep everything in large files are listed by what their owners published.

    Raises
    ------
    RecordingError
        ``data.root`` is no copy of the data set.
    UsageError, ConfigurationError
        The data set has no such feature or setting.
    """
    data = settings.data
    data_set, feature = find_dataset(data.format, data.feature)
    if data.root is not None and not data.root.exists():
        raise RecordingError(f"{data.root}: no such folder")
    problems: list[Problem] = []
    reads_features = data_set.read is not None and not data.raw and feature != RAW
    if reads_features and not data_set.subjects:  # small tables, of which only a copy tells the people
        assert data.root is not None
        return Listing(data_set, list(_read_all(data_set, data.root, feature, problems)), [], problems)
    if reads_features or not data_set.is_quick:
        if reads_features:
            assert data.root is not None  # checked with the settings
            assert data_set.read is not None
            list(islice(data_set.read(data.root, feature, problems.append), 1))  # is it a copy?
        sessions = list(published_sessions(data_set))
        return Listing(data_set, sessions, [], problems, is_whole=False, reads_features=reads_features)
    read = data_set.skim or data_set.sessions
    segments = [session for session in read(data, settings.contract, problems.append) if session]
    return Listing(data_set, [_listed(data_set, session) for session in segments], segments, problems)


def _listed(data_set: DataSet, segments: list[RawSegment]) -> Listed:
    session = segments[0].session
    trials = tuple(trial for segment in segments for trial in segment.trials)
    return Listed(segments[0].subject, session, data_set.named(session, trials))


def _read_all(data_set: DataSet, root: Path, feature: str, problems: list[Problem]) -> Iterator[Listed]:
    """The sessions of a copy whose features are read from beginning to end."""
    assert data_set.read is not None
    sizes, step_s = data_set.modalities, data_set.step_s[feature]
    for session in from_steps(data_set.read(root, feature, problems.append), step_s, sizes):
        yield Listed(session.subject, session.session, data_set.named(session.session, session.trials))


def published_sessions(data_set: DataSet) -> Iterator[Listed]:
    """The sessions of a complete copy, where a trial has the same label for everybody."""
    head = next(iter(data_set.heads), "")
    for subject in data_set.subjects if data_set.labels else ():
        for session, labels in enumerate(data_set.labels, 1):
            trials = tuple(Trial(str(i), 0.0, 0.0, {head: label}) for i, label in enumerate(labels, 1))
            yield Listed(str(subject), str(session), data_set.named(str(session), trials))


def marker_texts(root: Path) -> Counter[str]:
    """Every text of a marker in the recordings below `root`, and how often it occurs."""
    texts = Counter[str]()
    for file in recordings_below(root):
        with contextlib.suppress(RecordingError):
            for stream in skim_recording(file.path).markers:
                texts.update(str(text) for text in stream.read(0, stream.n_samples)[:, 0])
    return texts
