"""What is wrong between a training file and its data. Each raises ConfigurationError, key first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.model.stream_check import check_stream
from bci_m2s.text import printable, quoted
from bci_m2s.training.check.listing import Listing, marker_texts
from bci_m2s.training.data.splits import HasTrials
from bci_m2s.training.datasets.layout import DataSet, said_once
from bci_m2s.training.settings import TrainingSettings

MOST_MARKERS = 6  # texts that a message lists


def check_classes_of(settings: TrainingSettings, data_set: DataSet) -> None:
    """Heads and classes against those of a data set whose labels are numbers."""
    contract = settings.contract
    if settings.data.format in ("recordings", "simulated") or not data_set.heads:
        return
    for head, spec in contract.heads.items():
        if head not in data_set.heads:
            valid = nearest(head, data_set.heads)
            raise ConfigurationError(
                f"contract.heads.{head}: got {head!r}, expected what {data_set.name} is labelled for{valid}"
            )
        theirs = data_set.heads[head]
        same = sorted(map(str.casefold, spec.classes)) == sorted(map(str.casefold, theirs))
        if len(theirs) != len(spec.classes) or (same and _folded(theirs) != _folded(spec.classes)):
            raise ConfigurationError(
                f"contract.heads.{head}.classes: got {', '.join(spec.classes)}, expected those of "
                f"{data_set.name} in this order: {', '.join(theirs)}"
            )


def _folded(names: Iterable[str]) -> list[str]:
    return [name.casefold() for name in names]


def check_sizes(settings: TrainingSettings, listing: Listing) -> None:
    """The number of features of modalities that are taken as distributed."""
    data_set = listing.data_set
    for name, spec in settings.contract.modalities.items():
        if not (spec.feature.name == "distributed" or listing.reads_features) or not data_set.modalities:
            continue
        if name not in data_set.modalities:
            valid = nearest(name, data_set.modalities)
            raise ConfigurationError(
                f"contract.modalities.{name}: got {name!r}, expected a modality of {data_set.name}{valid}"
            )
        got, expected = spec.feature.n_features, data_set.modalities[name]
        if got != expected:
            raise ConfigurationError(
                f"contract.modalities.{name}.feature.n_features: got {got}, expected {expected}, as "
                f"{data_set.name} has them"
            )


def check_people(settings: TrainingSettings, listing: Listing) -> None:
    """``data.subjects`` against the people that there are."""
    there = dict.fromkeys(session.subject for session in listing.sessions)
    there |= dict.fromkeys(str(subject) for subject in listing.data_set.subjects)
    for name in settings.data.subjects if there else ():
        if name not in there:
            raise ConfigurationError(
                f"data.subjects: got {name!r}, expected a person of the data{nearest(name, there)}"
            )


def check_streams(settings: TrainingSettings, listing: Listing) -> None:
    """Every modality has a stream that fits somewhere, and all of a pair are in one session."""
    n_sessions = len(listing.segments)
    present: Counter[str] = Counter()
    for session in listing.segments:
        present.update({name for segment in session for name in segment.streams})
    for name, spec in settings.contract.modalities.items():
        if spec.feature.name == "distributed":
            continue
        if not present[name]:
            raise ConfigurationError(_why_none(listing, name))
        for session in listing.segments:
            for stream in [segment.streams[name] for segment in session if name in segment.streams]:
                for problem in check_stream(spec, stream.info, stream.info.name):
                    raise ConfigurationError(f"contract.modalities.{name}.{_detail(str(problem))}")
    live = [
        name for name in settings.pair if settings.contract.modalities[name].feature.name != "distributed"
    ]
    if n_sessions and not any(_has_all(session, live) for session in listing.segments):
        counts = ", ".join(f"{name} in {present[name]}" for name in live)
        raise ConfigurationError(
            f"pair: got {', '.join(live)}, expected modalities that were recorded together: none of "
            f"{n_sessions} sessions has them all ({counts})"
        )


def check_any(settings: TrainingSettings, listing: Listing) -> None:
    """At least one modality has a stream that fits, and there is a trial."""
    if not listing.is_whole:
        return
    names = list(settings.contract.modalities)
    if not any(segment.streams for session in listing.segments for segment in session):
        raise ConfigurationError(_why_none(listing, names[0]))
    if settings.data.format == "recordings" and not any(session.trials for session in listing.sessions):
        _refuse_markers(settings)


def _has_all(session: Iterable[object], names: Iterable[str]) -> bool:
    return any(set(names) <= set(getattr(segment, "streams", {})) for segment in session)


def _detail(text: str) -> str:
    """ "where: field: words" as "field: words (where)"."""
    where, _, rest = text.partition(": ")
    return f"{rest} ({where})"


def _why_none(listing: Listing, modality: str) -> str:
    """Why no session has a modality, in the words of the first file that tried."""
    start = f"{modality}: "
    said = [problem for problem in listing.problems if problem.text.startswith(start)]
    if not said:
        there = {name for session in listing.segments for segment in session for name in segment.streams}
        there |= listing.data_set.modalities.keys()
        hint = nearest(modality, sorted(there))
        return f"contract.modalities.{modality}: got {modality!r}, expected a modality of the data{hint}"
    refused = [problem for problem in said if problem.left_out] or said
    files = len({problem.path for problem in said})
    where = f"in all {files} recordings" if files > 1 else refused[0].path.name
    words = printable(refused[0].text.removeprefix(start), 600)
    return f"contract.modalities.{modality}: no recording has a stream that fits: {words} ({where})"


def check_trials(settings: TrainingSettings, listing: Listing) -> None:
    """There are trials, and each class has some."""
    head = settings.data.markers.head or settings.contract.first_head
    counts = Counter(
        trial.labels[name]
        for session in listing.sessions
        for trial in session.trials
        for name in [head if settings.data.format == "recordings" else settings.contract.first_head]
        if name in trial.labels
    )
    is_own = settings.data.format == "recordings"
    if is_own and not counts:
        _refuse_markers(settings)
    classes = settings.contract.heads[head].classes if is_own else ()
    missing = [name for number, name in enumerate(classes) if not counts[number]]
    if missing:
        assert settings.data.root is not None  # checked with the settings
        labels = _labels(settings, marker_texts(settings.data.root))
        found = ", ".join(f"{name} {count}" for name, count in sorted(labels.items()))
        raise ConfigurationError(
            f"contract.heads.{head}.classes: got {quoted(missing[0])}, which no trial has; trials are "
            f"labelled {printable(found, 400)}"
        )
    if is_own:
        _check_stop(settings, listing)


def check_two_classes(settings: TrainingSettings, sessions: Iterable[HasTrials]) -> None:
    """The people who are wanted have trials of more than one class."""
    head = settings.contract.first_head
    counts = Counter(
        trial.labels[head] for session in sessions for trial in session.trials if head in trial.labels
    )
    if len(counts) == 1:
        ((only, n),) = counts.items()
        classes = settings.contract.heads[head].classes
        raise ConfigurationError(
            f"contract.heads.{head}.classes: got {n} trials, all of {quoted(classes[only])}, expected "
            f"trials of two classes or more of {', '.join(classes)}"
        )


def _check_stop(settings: TrainingSettings, listing: Listing) -> None:
    """A stated stop that no marker matches: trials would last until the next begins."""
    root, markers = settings.data.root, settings.data.markers
    is_stated = "stop" in markers.model_fields_set and markers.stop and not markers.column
    trials = [session.trials for session in listing.sessions]
    ends = [one.stop_s == after.start_s for session in trials for one, after in pairwise(session)]
    if root is None or not is_stated or markers.duration_s is not None or not ends or not all(ends):
        return
    texts = marker_texts(root)
    if not any(re.fullmatch(markers.stop, text) for text in texts):
        raise ConfigurationError(
            f"data.markers.stop: got {quoted(markers.stop)}, which matches no marker; there are "
            f'{_shown(texts)}; stop: "" where a trial lasts until the next begins'
        )


def _shown(texts: Counter[str]) -> str:
    shown = ", ".join(f"{quoted(text, 40)} × {count}" for text, count in texts.most_common(MOST_MARKERS))
    more = f" and {len(texts) - MOST_MARKERS} other texts" if len(texts) > MOST_MARKERS else ""
    return shown + more


def _labels(settings: TrainingSettings, texts: Counter[str]) -> Counter[str]:
    """How many markers begin a trial of each label."""
    start = re.compile(settings.data.markers.start)
    labels = Counter[str]()
    for text, count in texts.items():
        if match := start.fullmatch(text):
            labels[match["label"] or ""] += count
    return labels


def _refuse_markers(settings: TrainingSettings) -> None:
    """Say why the markers of own recordings make no trial."""
    root, markers = settings.data.root, settings.data.markers
    assert root is not None  # checked with the settings
    texts = marker_texts(root)
    labels = _labels(settings, texts)
    if not texts:
        raise ConfigurationError(
            f"data.markers: {root}: no recording holds a marker, so there are no trials"
        )
    if not labels:
        raise ConfigurationError(
            f"data.markers.start: got {quoted(markers.start)}, which matches no marker; "
            f"there are {_shown(texts)}"
        )
    head = markers.head or settings.contract.first_head
    classes = settings.contract.heads[head].classes
    first = max(labels, key=labels.__getitem__)
    raise ConfigurationError(
        f"contract.heads.{head}.classes: got {', '.join(classes)}, expected the labels of trials: "
        f"{', '.join(sorted(labels))}{_near(first, classes)}"
    )


def _near(name: str, valid: Iterable[str]) -> str:
    hint = nearest(name, valid)
    return f" ({quoted(name)}{hint})" if hint.startswith("; nearest") else ""


def left_out(listing: Listing, recordings: int, most: int = 6) -> Iterator[str]:
    """A line for each of the first problems. recordings : that there are; 0 where it is not known"""
    lines = said_once(listing.problems, recordings)
    for line in lines[:most]:
        yield printable(line)
    if len(lines) > most:
        yield (
            f"... and {len(lines) - most} more of these; bci-m2s dataset check "
            "with the same root and format lists all"
        )
