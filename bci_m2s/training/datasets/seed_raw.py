"""Raw EEG of SEED and SEED-IV: one variable per clip, (62, samples) at 200 Hz."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bci_m2s.errors import RecordingError
from bci_m2s.training.datasets.layout import OnProblem, Origin, RawSegment, Trial, numbers
from bci_m2s.training.datasets.raw import Samples, regular_stream, sample_rows
from bci_m2s.training.datasets.seed_layout import CHANNELS, N_CHANNELS
from bci_m2s.training.formats.matlab import mat_shapes, read_mat
from bci_m2s.training.formats.matlab_values import Shape

RATE_HZ = 200.0
_CLIP = re.compile(r"(.*)_eeg(\d{1,2})")


def raw_session(origin: Origin, labels: Sequence[int], on_problem: OnProblem) -> list[RawSegment]:
    """A segment for each clip of a session's file; what is missing or malformed is reported.

    labels : class index of each clip
    """
    try:
        shapes = mat_shapes(origin.path)
        clips = _clips(shapes)
    except RecordingError as problem:
        on_problem(origin.problem(problem))
        return []
    segments = []
    for trial, label in enumerate(labels, 1):
        trial_origin = origin._replace(trial=trial)
        if trial not in clips:
            on_problem(trial_origin.problem(f"no variable '..._eeg{trial}'"))
            continue
        shape = shapes[clips[trial]]
        if len(shape) != 2 or shape[0] != N_CHANNELS or not shape[1]:
            on_problem(trial_origin.problem(f"eeg: shape {shape}, expected ({N_CHANNELS}, samples)"))
            continue
        segments.append(_segment(trial_origin, clips[trial], shape[1] / RATE_HZ, label))
    return segments


def _clips(shapes: dict[str, Shape]) -> dict[int, str]:
    """Variable of each clip. A file is one person's: all have the same initials in front."""
    clips = {name: match for name in shapes if (match := _CLIP.fullmatch(name))}
    initials = sorted({match[1] for match in clips.values()})
    if len(initials) != 1:
        got = f"clips of {', '.join(initials)}" if initials else "no variable '..._eeg1'"
        raise RecordingError(f"{got}, expected clips of one person")
    return {int(match[2]): name for name, match in clips.items()}


def _segment(origin: Origin, variable: str, length_s: float, label: int) -> RawSegment:
    stream = regular_stream(
        partial(_samples, origin.path, variable),
        origin.path.stem,
        "EEG",
        RATE_HZ,
        CHANNELS,
        ("microvolts",) * N_CHANNELS,
    )
    trial = Trial(str(origin.trial), 0.0, length_s, {"emotion": label})
    return RawSegment(str(origin.subject), str(origin.session), {"eeg": stream}, (trial,))


def _samples(path: Path, variable: str) -> Samples:
    try:
        variables = read_mat(path, [variable])
        if variable not in variables:
            raise RecordingError("is no longer there")
        return sample_rows(numbers(variables[variable]).T, N_CHANNELS)
    except RecordingError as problem:
        raise RecordingError(f"{path}: {variable}: {problem}") from None
