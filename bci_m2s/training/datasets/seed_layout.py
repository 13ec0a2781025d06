"""What SEED, SEED-IV and SEED-V have in common: 62 channels, five bands, and the layout of their arrays.

Raw EEG of SEED and SEED-IV has one variable per clip, (62, samples) at 200 Hz.

The distributed features come from an FFT estimate and range roughly from 10 to 28. They are not on the
scale of the features that a live session computes from microvolts: use them to reproduce published
figures, not for a model that is to run live.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.simulator.devices import SEED_62
from bci_m2s.training.datasets.layout import OnProblem, Origin, RawSegment, Trial, numbers, step_rows
from bci_m2s.training.datasets.raw import Samples, regular_stream, sample_rows
from bci_m2s.training.formats.matlab import mat_shapes, read_mat
from bci_m2s.training.formats.matlab_values import Shape
from bci_m2s.types import FloatArray

CHANNELS = SEED_62
N_CHANNELS = len(CHANNELS)
BANDS = ("delta", "theta", "alpha", "beta", "gamma")
EEG_FEATURES = N_CHANNELS * len(BANDS)
RATE_HZ = 200.0  # of raw EEG
_CLIP = re.compile(r"(.*)_eeg(\d{1,2})")


def mat_eeg(values: Any) -> FloatArray:
    """EEG of a .mat file, (62, W, 5), as channel-major steps (W, 310)."""
    array = numbers(values)
    if array.ndim != 3 or array.shape[::2] != (N_CHANNELS, len(BANDS)) or not array.shape[1]:
        raise RecordingError(f"shape {array.shape}, expected ({N_CHANNELS}, steps, {len(BANDS)})")
    return array.transpose(1, 0, 2).reshape(array.shape[1], EEG_FEATURES)


def mat_eye(values: Any) -> FloatArray:
    """Eye features of a .mat file, (31, W), as steps (W, 31)."""
    return step_rows(numbers(values).T, 31)


eye_33 = partial(step_rows, n_features=33)


def band_dict_eeg(values: Any) -> FloatArray:
    """EEG as {band: (N, 62)}, as channel-major steps (N, 310)."""
    if not isinstance(values, dict) or any(band not in values for band in BANDS):
        raise RecordingError(f"holds {type(values).__name__}, expected a dict with {', '.join(BANDS)}")
    bands = [step_rows(values[band], N_CHANNELS) for band in BANDS]
    if len({len(band) for band in bands}) > 1:
        raise RecordingError("bands differ in their number of steps")
    return np.stack(bands, axis=2).reshape(len(bands[0]), EEG_FEATURES)


def looks_band_major(rows: FloatArray | None) -> bool:
    """Whether columns (W, 310) seem ordered band by band instead of channel by channel.

    Differential entropy differs more between bands than between channels: the order under which the
    bands' means lie further apart is the likely one. False where values are missing.
    """
    if rows is None or np.isnan(rows).any():
        return False
    means = rows.mean(axis=0)
    channel_major = means.reshape(N_CHANNELS, len(BANDS)).mean(axis=0).var()
    band_major = means.reshape(len(BANDS), N_CHANNELS).mean(axis=1).var()
    return bool(band_major > channel_major)


def find_folder(root: Path, needed: str, *above: str) -> Path:
    """`root`, or a known folder inside it, that holds `needed`. Raises RecordingError when none does."""
    for inside in ("", *above):
        if (root / inside / needed).is_dir():
            return root / inside
    raise RecordingError(f"{root}: no folder {needed!r}; ROOT is the folder that holds it")


def named_files(folder: Path, pattern: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """Files whose whole name matches."""
    matches = ((path, re.fullmatch(pattern, path.name)) for path in folder.glob("*"))
    return ((path, match) for path, match in matches if match)


def known_subjects(
    origins: Iterable[Origin], name: str, subjects: Iterable[int], on_problem: OnProblem
) -> Iterator[Origin]:
    """Origins by subject and session; unknown subjects and second files of a session are reported."""
    seen: dict[tuple[int, int], Path] = {}
    for origin in sorted(origins, key=lambda origin: (origin.subject, origin.session, origin.path.name)):
        first = seen.setdefault((origin.subject, origin.session), origin.path)
        if origin.subject not in subjects:
            on_problem(origin.problem(f"subject {origin.subject} is not one of {name}"))
        elif first != origin.path:
            on_problem(origin.problem(f"a second file of this session, beside {first.name}"))
        else:
            yield origin


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
