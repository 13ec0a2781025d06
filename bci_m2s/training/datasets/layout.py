"""The one form of every labelled data set: trials of step features, and what was wrong with a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.types import FloatArray


@dataclass(frozen=True)
class LabelledTrial:
    """One trial of one person. Subjects, sessions and trials count from 1, as the owners' files do.

    label : class index; steps : modality → (W, F) float64, one row a step, EEG channel-major (band
    fastest), NaN where the file has it. All modalities of a trial have the same W.
    """

    subject: int
    session: int
    trial: int
    label: int
    steps: dict[str, FloatArray]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, or with one trial in it (`trial` 0: the whole file).

    left_out : the data concerned are not used; otherwise it is only worth knowing
    """

    path: Path
    subject: int
    session: int
    trial: int
    text: str
    left_out: bool = True

    def __str__(self) -> str:
        parts = [f"subject {self.subject}"]
        parts += [f"session {self.session}"] if self.session else []
        parts += [f"trial {self.trial}"] if self.trial else []
        return f"{', '.join(parts)} ({self.path.parent.name}/{self.path.name}): {self.text}"


OnProblem = Callable[[Problem], None]


class Place(NamedTuple):
    """Where a trial comes from."""

    path: Path
    subject: int
    session: int
    trial: int = 0

    def problem(self, text: object, left_out: bool = True) -> Problem:
        """A problem at this place."""
        return Problem(*self, str(text), left_out)


@dataclass(frozen=True)
class DataSet:
    """A data set as distributed.

    classes : names by class index; labels : class index a trial, one row a session
    modalities : name → number of features; with_eye : subjects whose eye data are distributed
    train_trials : how many first trials of a session its owners train on
    step_s : length of a step, by feature; the first is the default
    read : (root, feature, on_problem) → trials
    """

    name: str
    classes: tuple[str, ...]
    subjects: tuple[int, ...]
    with_eye: tuple[int, ...]
    labels: tuple[tuple[int, ...], ...]
    train_trials: int
    modalities: dict[str, int]
    step_s: dict[str, float]
    read: Callable[[Path, str, OnProblem], Iterator[LabelledTrial]]

    @property
    def default_feature(self) -> str:
        """The feature that is read unless another is asked for."""
        return next(iter(self.step_s))


def numbers(values: Any) -> FloatArray:
    """Values of a file as float64. Raises RecordingError when they are not numbers or are infinite."""
    try:
        array = np.asarray(values) if isinstance(values, np.ndarray | list | tuple) else None
    except ValueError:  # rows of different lengths
        array = None
    if array is None or array.dtype.kind not in "biuf":
        raise RecordingError(f"holds {type(values).__name__}, expected an array of numbers")
    array = array.astype(np.float64)
    if np.isinf(array).any():
        raise RecordingError("holds infinite values")
    return array


def step_rows(values: Any, n_features: int) -> FloatArray:
    """Step features (W, F), W ≥ 1. Raises RecordingError for any other shape, naming both."""
    rows = numbers(values)
    if rows.ndim != 2 or rows.shape[1] != n_features or not len(rows):
        raise RecordingError(f"shape {rows.shape}, expected (steps, {n_features})")
    return rows


def make_trial(
    place: Place,
    label: int,
    raw: Mapping[str, Any],
    arrange: Mapping[str, Callable[[Any], FloatArray]],
    on_problem: OnProblem,
    expected_steps: int = 0,
) -> LabelledTrial | None:
    """Build a trial from what a file holds of each modality; None when nothing of it can be used.

    A modality whose values are malformed is reported and left out. Modalities that differ in their
    number of steps cannot be paired, and the trial is left out.
    """
    steps: dict[str, FloatArray] = {}
    for modality, values in raw.items():
        try:
            steps[modality] = arrange[modality](values)
        except RecordingError as problem:
            on_problem(place.problem(f"{modality}: {problem}"))
    lengths = {modality: len(rows) for modality, rows in steps.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{modality} {n}" for modality, n in lengths.items())
        on_problem(place.problem(f"numbers of steps differ: {counts}"))
        return None
    for modality, rows in steps.items():
        if np.isnan(rows).any():
            share = f"{modality}: {100 * np.isnan(rows).mean():.1f} % of the values are missing (NaN)"
            on_problem(place.problem(share, left_out=False))
    if expected_steps and lengths and expected_steps not in lengths.values():
        found = next(iter(lengths.values()))
        on_problem(place.problem(f"{found} steps, distributed with {expected_steps}", left_out=False))
    return LabelledTrial(place.subject, place.session, place.trial, label, steps) if steps else None
