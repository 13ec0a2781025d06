"""A participant's trials, and the windows inside them: what a calibration learns from and is tested on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import ConfigurationError, TrainingError, nearest
from bci_m2s.model.contract import Contract
from bci_m2s.pipeline.recorded_windows import RecordedRun, recorded_windows
from bci_m2s.recording.trials import is_guided, kept_trials
from bci_m2s.signal.drift import mean_over_steps
from bci_m2s.text import quoted
from bci_m2s.training.datasets.markers import MarkerSettings, marked_trials
from bci_m2s.training.drift.fit import PersonWindows
from bci_m2s.types import FloatArray, Status, Window

Indices = NDArray[np.int64]
EVERY_S = 1.0  # between windows; nearer ones say the same again
MOST_WINDOWS = 600  # per modality; each trial keeps its share, evenly spread
TOLERANCE_S = 1e-6


@dataclass(frozen=True)
class ShownTrial:
    """A labelled stretch of a session. label : class index; stamps on the session's clock, s."""

    label: int
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Windows:
    """Windows of one modality inside trials.

    features : (n, T, F) float64, relative to the person's baseline, NaN where unknown
    trials : (n,) number of each one's trial
    why_none : the reason that most windows inside trials were refused for, "" where none was
    """

    features: FloatArray
    trials: Indices
    why_none: str = ""


@dataclass(frozen=True)
class Outside:
    """Windows of one modality in one session that no trial has. end_s : (n,); features : (n, T, F)"""

    end_s: FloatArray
    features: FloatArray


@dataclass(frozen=True)
class Material:
    """All trials of a participant, in the order of time.

    labels : (t,) class indices; sessions : (t,) number of each one's session
    windows : modality → windows; those of trials without any are none
    measured : modality → windows of each session as measured, for the limits of drift
    outside : modality → number of a session → windows outside these trials
    """

    head: str
    classes: tuple[str, ...]
    labels: Indices
    sessions: Indices
    windows: Mapping[str, Windows]
    measured: Mapping[str, Sequence[PersonWindows]] = field(default_factory=dict)
    outside: Mapping[str, Mapping[int, Outside]] = field(default_factory=dict)

    def counted(self) -> str:
        """The number of trials of each class, in words."""
        return counted(self.labels, self.classes)


def counted(labels: Indices, classes: Sequence[str]) -> str:
    """The number of trials of each class, in words. labels : (t,) class indices"""
    return ", ".join(f"{name} {np.count_nonzero(labels == index)}" for index, name in enumerate(classes))


def shown_trials(
    run: RecordedRun, head: str, classes: Sequence[str], notify: Callable[[str], None]
) -> list[ShownTrial]:
    """The trials of a session that count.

    Of a guided session those that its markers say; else stretches between ``trial/start/LABEL`` and
    ``trial/stop/LABEL``.

    Raises
    ------
    TrainingError
        There is none.
    ConfigurationError
        A label is not a class of the model.
    """
    if is_guided(text for _, text in run.markers):
        spans = [(trial.label, trial.start_s, trial.stop_s) for trial in kept_trials(run.markers)]
    else:
        marked = marked_trials(run.markers, run.end_s, MarkerSettings(), notify)
        spans = [(trial.label, trial.start_s, trial.stop_s) for trial in marked]
    if not spans:
        texts = list(dict.fromkeys(text for _, text in run.markers))[:4]
        came = f"; its markers: {', '.join(quoted(text, 40) for text in texts)}" if texts else ""
        expected = "expected markers trial/start/LABEL and trial/stop/LABEL"
        raise TrainingError(f"{run.path}: trials: got none, {expected}{came}")
    for label, _, _ in spans:
        if label not in classes:
            hint = nearest(label, classes)
            raise ConfigurationError(
                f"{run.path}: label {quoted(label, 60)}: is not a class of the model's {head}{hint}"
            )
    return [ShownTrial(classes.index(label), start_s, stop_s) for label, start_s, stop_s in spans]


def gather(
    runs: Sequence[RecordedRun],
    contract: Contract,
    tensors: Mapping[str, FloatArray],
    head: str,
    notify: Callable[[str], None] = lambda _text: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    check: Callable[[Indices], None] = lambda _labels: None,
) -> Material:
    """Trials and windows of a participant's sessions, in the order in which they are given.

    Parameters
    ----------
    check : gets the labels of all trials before any signal is read, and may refuse them

    Raises
    ------
    TrainingError
        No trial, or none of one of the classes; no window inside any trial, and why.
    ConfigurationError
        A label is not a class of the model.
    """
    classes = contract.heads[head].classes
    shown = [shown_trials(run, head, classes, notify) for run in runs]
    labels = np.array([trial.label for trials in shown for trial in trials], dtype=np.int64)
    _refuse_few_classes(runs, labels.tolist(), classes)
    check(labels)
    total, done = sum(run.stream.n_samples for one in runs for run in one.streams.values()), 0
    found: dict[str, list[_Found]] = {name: [] for name in contract.modalities}
    first = 0
    for number, (one, trials) in enumerate(zip(runs, shown, strict=True)):
        for modality, stream in one.streams.items():
            finder = _Found(number, trials, first, contract.window.hop_s)
            for samples, window in recorded_windows(stream, modality, contract, tensors, finder.measure):
                if window is not None:
                    finder.take(window)
                else:
                    progress(done + samples, total)
            done += stream.stream.n_samples
            found[modality].append(finder)
        first += len(trials)
    windows = {name: _joined(parts, first) for name, parts in found.items() if parts}
    if not any(len(one.trials) for one in windows.values()):
        whys = "; ".join(
            f"{name}: {one.why_none or 'no window is that short'}" for name, one in windows.items()
        )
        raise TrainingError(f"{runs[0].path}: no window lies inside a trial: {whys}")
    return Material(
        head,
        classes,
        labels,
        np.repeat(np.arange(len(runs)), [len(trials) for trials in shown]),
        windows,
        {name: [part.measured() for part in parts] for name, parts in found.items()},
        {name: {part.session: part.outside() for part in parts} for name, parts in found.items()},
    )


def _refuse_few_classes(runs: Sequence[RecordedRun], labels: Sequence[int], classes: Sequence[str]) -> None:
    counts = Counter(labels)
    if len(counts) < len(classes):
        got = ", ".join(f"{classes[index]} {count}" for index, count in sorted(counts.items()))
        raise TrainingError(
            f"{runs[0].path}: trials: got {got}, expected some of each class: {', '.join(classes)}"
        )


class _Found:
    """The windows of one stream, inside trials and outside. first : number of the first of these trials"""

    def __init__(self, session: int, trials: Sequence[ShownTrial], first: int, hop_s: float) -> None:
        self.session = session
        self._spans = [(trial.start_s, trial.stop_s) for trial in trials]
        self._first, self._hop_s = first, hop_s
        self._measured: list[tuple[float, FloatArray]] = []
        self._outside: list[tuple[float, FloatArray]] = []
        self._newest_s = -np.inf
        self.features: list[FloatArray] = []
        self.trials: list[int] = []
        self.refused = Counter[str]()

    def take(self, window: Window) -> None:
        number = self._trial_of(window)
        if number is None:
            self._take_outside(window)
        elif window.features is None or window.status is not Status.OK:
            self.refused[window.reason] += 1
        elif window.end_s - self._newest_s >= EVERY_S - TOLERANCE_S or self._is_new(number):
            self._newest_s = window.end_s
            self.features.append(window.features)
            self.trials.append(self._first + number)

    def _take_outside(self, window: Window) -> None:
        newest_s = self._outside[-1][0] if self._outside else -np.inf
        is_apart = window.end_s - newest_s >= EVERY_S - TOLERANCE_S
        is_clear = all(
            window.end_s <= start_s or window.start_s >= stop_s for start_s, stop_s in self._spans
        )
        if window.features is not None and window.status is Status.OK and is_apart and is_clear:
            self._outside.append((window.end_s, window.features))

    def outside(self) -> Outside:
        """Windows that overlap no trial, one a second."""
        ends = np.array([end_s for end_s, _ in self._outside])
        return Outside(ends, np.array([features for _, features in self._outside]))

    def measure(self, window: Window) -> None:
        if window.features is not None and self._trial_of(window) is not None:
            self._measured.append((window.end_s, mean_over_steps(window.features)))

    def measured(self) -> PersonWindows:
        """Every window inside trials as measured, in order."""
        ends = np.array([end_s for end_s, _ in self._measured])
        begins = np.diff(ends, prepend=-np.inf) > 1.5 * self._hop_s
        return PersonWindows(np.array([mean for _, mean in self._measured], np.float32), begins)

    def _trial_of(self, window: Window) -> int | None:
        for number, (start_s, stop_s) in enumerate(self._spans):
            if window.start_s >= start_s - TOLERANCE_S and window.end_s <= stop_s + TOLERANCE_S:
                return number
        return None

    def _is_new(self, number: int) -> bool:
        return not self.trials or self.trials[-1] != self._first + number


def _joined(parts: Sequence[_Found], n_trials: int) -> Windows:
    """The windows of all sessions, at most ``MOST_WINDOWS``."""
    features = [window for part in parts for window in part.features]
    trials = np.array([trial for part in parts for trial in part.trials], dtype=np.int64)
    refused = sum((part.refused for part in parts), Counter[str]())
    why = max(refused, key=refused.__getitem__, default="")
    most, kept = max(4, MOST_WINDOWS // max(1, n_trials)), []
    for trial in np.unique(trials):
        own = np.flatnonzero(trials == trial)
        kept += own[
            np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int))
        ].tolist()
    return Windows(np.array([features[place] for place in kept]), trials[kept], why)
