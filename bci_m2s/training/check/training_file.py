"""``check`` for training files: what pretrain, finetune and evaluate look at before they begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bci_m2s.errors import (
    BciM2sError,
    ConfigurationError,
    ContractError,
    RecordingError,
    UsageError,
    nearest,
)
from bci_m2s.files.places import with_line
from bci_m2s.files.yaml_file import read_yaml
from bci_m2s.model.contract import Contract, ModalityContract, WindowContract
from bci_m2s.model.feature_size import check_size, count_features
from bci_m2s.signal.units import find_unit, is_stated
from bci_m2s.text import printable, quoted
from bci_m2s.training.check import mistakes
from bci_m2s.training.check.baseline import baseline_notes
from bci_m2s.training.check.clips import shared_clips
from bci_m2s.training.check.labels import check_labels
from bci_m2s.training.check.lengths import length_notes
from bci_m2s.training.check.listing import Listing, list_sessions
from bci_m2s.training.check.pretraining import check_pretraining
from bci_m2s.training.data.label_settings import label_lines
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.data.splits import PARTS, Listed, Split, make_splits
from bci_m2s.training.datasets.layout import Trial
from bci_m2s.training.datasets.recorded_files import count_recordings, recordings_below
from bci_m2s.training.datasets.recordings import NO_TRIALS, RECORDINGS
from bci_m2s.training.settings import TrainingSettings
from bci_m2s.training.training_file import load_training


@dataclass(frozen=True)
class Checked:
    """A training file in which no mistake was found, and what its data hold.

    splits : none where the data tell only when they are read; notes : what a user should know
    lacks_data : there is no recording yet
    sessions : where several runs share them, what was read of the data; else it is read for each run
    pictures : losses are drawn as well
    only : name of the one split that is run; "" for all
    """

    path: Path
    settings: TrainingSettings
    listing: Listing
    splits: list[Split]
    notes: list[str]
    lacks_data: bool = False
    sessions: list[SessionFeatures] | None = None
    pictures: bool = True
    only: str = ""

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def check_training(path: Path, may_lack_data: bool = False) -> Checked:
    """Say everything that is wrong with a training file and needs no feature to be computed.

    may_lack_data : own recordings may still have to be made

    Raises
    ------
    ConfigurationError
        In one line: the file and, where it is known, line and key; the first of several mistakes.
    """
    settings = load_training(path)
    try:
        return _checked(path, settings, may_lack_data and _has_no_recording(settings))
    except BciM2sError as problem:
        raise ConfigurationError(with_line(path, read_yaml(path)[1], printable(problem))) from None


def check_live_use(checked: Checked, out: Path | None) -> None:
    """Raises ConfigurationError where a model file for live use is wanted and no good one can be made."""
    if out is not None and checked.settings.labels.leave_out:
        raise ConfigurationError(
            f"{checked.path}: labels: got labels that are left out, expected none with --out: a model for "
            "live use learns from all, and validation people's calibrate its probabilities"
        )
    if out is not None and checked.settings.windows.own_session:
        raise ConfigurationError(
            f"{checked.path}: windows.own_session: got true, expected false with --out: a model scaled by "
            "whole sessions cannot run live"
        )


def _has_no_recording(settings: TrainingSettings) -> bool:
    root = settings.data.root
    if settings.data.format != RECORDINGS.name or root is None or (root.exists() and not root.is_dir()):
        return False
    try:
        return not recordings_below(root)
    except RecordingError:
        return True


def _checked(path: Path, settings: TrainingSettings, lacks_data: bool) -> Checked:
    contract = settings.contract
    check_pretraining(settings)
    live = {name: spec for name, spec in contract.modalities.items() if spec.feature.name != "distributed"}
    for name, spec in live.items():
        _check_count(name, spec, contract.window)
    if not lacks_data:
        _check_names(settings)
    listing = Listing(RECORDINGS, []) if lacks_data else _listing(settings)
    splits: list[Split] = []
    if listing.sessions:
        splits = _splits(settings, listing)
        check_labels(settings, splits, listing.sessions)
    for name, spec in live.items():  # last, because filters need packages that take a second to load
        try:
            check_size(spec, contract.window, name)
        except ContractError as problem:
            at = problem.where.removeprefix("contract")  # " at 256 Hz"
            words = f"got {problem.got}, expected {problem.expected}{at}"
            raise ConfigurationError(f"contract.{problem.field}: {words}") from None
    notes = [*listing.data_set.caveats, *shared_clips(settings, splits, listing.sessions)]
    notes += _unit_notes(contract)
    if not settings.windows.straddling:  # else windows run over the ends of trials
        notes += length_notes(contract.window, listing)
    notes += baseline_notes(settings, listing)
    return Checked(path, settings, listing, splits, notes, lacks_data)


def _splits(settings: TrainingSettings, listing: Listing) -> list[Split]:
    """The splits; why there are too few people or trials says too what was left out."""
    try:
        return make_splits(listing.sessions, settings.split, settings.contract.first_head)
    except ConfigurationError as problem:
        out = [one for one in listing.problems if one.left_out or one.text.startswith(NO_TRIALS)]
        words = "; ".join(
            mistakes.left_out(replace(listing, problems=out), _n_recordings(settings), most=3)
        )
        raise ConfigurationError(f"{problem}; {words}" if words else str(problem)) from None


def _n_recordings(settings: TrainingSettings) -> int:
    return count_recordings(settings.data.root) if settings.data.format == RECORDINGS.name else 0


def _unit_notes(contract: Contract) -> list[str]:
    """A line for each modality with units that nobody knows: a stream then has to state the same word."""
    notes = []
    for name, spec in contract.modalities.items():
        unknown = dict.fromkeys(
            quoted(unit) for unit in spec.units if is_stated(unit) and not find_unit(unit)
        )
        if unknown:
            words = f"{', '.join(unknown)} is no unit that is known here; a stream has to state the same"
            notes.append(f"contract.modalities.{name}.units: {words}")
    return notes


def _check_names(settings: TrainingSettings) -> None:
    """A split of people whom the names of own recordings tell, before a file of them is opened."""
    data, kind = settings.data, settings.split.kind
    if data.format != RECORDINGS.name or data.root is None or kind not in ("subjects", "subject-folds"):
        return
    try:
        people = dict.fromkeys(file.subject for file in recordings_below(data.root))
    except RecordingError as problem:
        raise ConfigurationError(f"data.root: {problem}") from None
    wanted = [person for person in people if not data.subjects or person in data.subjects]
    trial = Trial("1", 0.0, 0.0, {})
    if wanted:  # names that nobody has are refused later
        make_splits([Listed(person, "1", (trial,)) for person in wanted], settings.split, "")


def _check_count(name: str, spec: ModalityContract, window: WindowContract) -> None:
    got, expected = spec.feature.n_features, count_features(spec, window)
    if got != expected:
        raise ConfigurationError(
            f"contract.modalities.{name}.feature.n_features: got {got}, expected {expected}, which is what "
            f"{spec.feature.name} makes of {count(len(spec.channels), 'channel')}; it may be left out"
        )


def _listing(settings: TrainingSettings) -> Listing:
    """The data, nothing wrong with them; of the people that are wanted alone."""
    try:
        listing = list_sessions(settings)
    except RecordingError as problem:
        raise ConfigurationError(f"data.root: {problem}") from None
    except UsageError as problem:
        raise ConfigurationError(f"data.format: {problem}") from None
    mistakes.check_classes_of(settings, listing.data_set)
    mistakes.check_sizes(settings, listing)
    mistakes.check_people(settings, listing)
    if listing.segments or (not listing.sessions and listing.is_whole and not listing.reads_features):
        mistakes.check_streams(settings, listing)
    if listing.is_whole:
        mistakes.check_trials(settings, listing)
    wanted = settings.data.subjects
    kept = [not wanted or session.subject in wanted for session in listing.sessions]
    sessions = [session for session, keep in zip(listing.sessions, kept, strict=True) if keep]
    mistakes.check_two_classes(settings, sessions)
    segments = listing.segments
    if segments:
        segments = [found for found, keep in zip(segments, kept, strict=True) if keep]
    return replace(listing, sessions=sessions, segments=segments)


def describe(checked: Checked) -> Iterator[tuple[str, bool]]:
    """What a training file is, in lines to print; whether each is a remark."""
    settings, listing = checked.settings, checked.listing
    contract = settings.contract
    yield f"{checked.path}: training file for the model {contract.name!r}", False
    for name, spec in contract.modalities.items():
        channels = f"{len(spec.channels)} channel{'' if len(spec.channels) == 1 else 's'}"
        yield f"{name}: {channels}, {spec.feature.name}, {spec.feature.n_features} features per step", False
    yield f"trained on: {', '.join(settings.pair)}", False
    yield data_line(checked), False
    if checked.splits:
        yield f"split: {split_line(checked)}", False
    for line in label_lines(settings.labels):
        yield line[0].lower() + line[1:], False
    for line in mistakes.left_out(listing, _n_recordings(settings)):
        yield line, True
    for note in checked.notes:
        yield f"note: {note}", True


def data_line(checked: Checked) -> str:
    """Who and how much was found."""
    settings, listing = checked.settings, checked.listing
    if checked.lacks_data:
        return f"data: no recording in {settings.data.root} yet{_beside(settings.data.root)}"
    where = f" in {settings.data.root}" if settings.data.root is not None else ""
    if not listing.is_whole:
        people = (
            f", {len(listing.data_set.subjects)} people when complete" if listing.data_set.subjects else ""
        )
        return f"data: {settings.data.format}{where}{people}; the files tell the rest when they are read"
    n_people = len({session.subject for session in listing.sessions})
    trials = [trial for session in listing.sessions for trial in session.trials]
    classes = settings.contract.class_names
    heads = [f"{head}: {_shares(head, names, trials)}" for head, names in classes.items()]
    return (
        f"data: {settings.data.format}{where}: {count(n_people, 'person', 'people')}, "
        f"{count(len(listing.sessions), 'session')}, {count(len(trials), 'trial')} ({'; '.join(heads)})"
    )


def _beside(root: Path | None) -> str:
    """The folder whose name is nearest to that of one that is not there."""
    if root is None or root.exists() or not root.parent.is_dir():
        return ""
    hint = nearest(root.name, [path.name for path in root.parent.iterdir() if path.is_dir()])
    return f"; no such folder{hint}" if hint.startswith("; nearest") else ""


def _shares(head: str, classes: tuple[str, ...], trials: Iterable[Trial]) -> str:
    counts = Counter(trial.labels.get(head, -1) for trial in trials)
    return ", ".join(f"{name} {counts[index]}" for index, name in enumerate(classes))


def split_line(checked: Checked) -> str:
    """How many people, or trials, train, validate and test."""
    splits, kind = checked.splits, checked.settings.split.kind
    first = splits[0]
    unit = "people" if first.by_subject else "trials"
    words = []
    for part in PARTS:
        keys = getattr(first, part)
        words.append(f"{part} {len({key.split('/')[0] for key in keys} if first.by_subject else keys)}")
    if first.by_stimulus:
        n_used = sum(len(getattr(first, part)) for part in PARTS)
        n_all = sum(len(session.trials) for session in checked.listing.sessions)
        words[-1] += f"; clips apart: {n_used} of {n_all} trials are used"
    several = f"; the first of {len(splits)} parts that test in turn" if len(splits) > 1 else ""
    return f"{kind}, {unit}: {', '.join(words)}{several}"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 person", "2 sessions"."""
    return f"{number} {one if number == 1 else many or one + 's'}"
