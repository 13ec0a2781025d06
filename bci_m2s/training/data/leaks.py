"""The check that the parts of a split share nothing: no trial, person, clip or stretch of signal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import TrainingError
from bci_m2s.training.data.sessions import Rows, SessionFeatures
from bci_m2s.training.data.splits import PARTS, Split
from bci_m2s.training.datasets.layout import Trial

RUN_S = 4.0  # of signal that nobody else can have bit for bit
FEWEST_VARIED = 8  # features that change within a run; fewer, as of a thermometer, may agree by chance
FEWEST_CHANGES = 20  # of the rows of a whole session, where its features are so few


def check_apart(split: Split, sessions: Sequence[SessionFeatures]) -> None:
    """Refuse parts that share a trial, a person or clip (where they must not), or the same signal twice.

    Called before every fit. Two trials share a signal when some seconds of a modality have the same
    features bit for bit, whatever their names: copies under another name are detected too. A modality with
    few features is compared over whole sessions: what a thermometer rounds may agree for seconds.

    Raises
    ------
    TrainingError
        With the two parts and what they share.
    """
    seen = {part: signals_of(sessions, getattr(split, part)) for part in PARTS}
    for first, second in (("train", "test"), ("validation", "test"), ("train", "validation")):
        where = (split.name, first, second)
        _refuse_shared(where, "trial", getattr(split, first) & getattr(split, second))
        if split.by_subject:
            people = [{key.split("/")[0] for key in getattr(split, part)} for part in (first, second)]
            _refuse_shared(where, "person", people[0] & people[1])
        if split.by_stimulus:
            shown = [_clips(sessions, getattr(split, part)) for part in (first, second)]
            _refuse_shared(where, "clip", shown[0] & shown[1])
        same = seen[first].keys() & seen[second].keys()
        _refuse_shared(where, "the signal of trial", {seen[second][digest] for digest in same})


def _clips(sessions: Sequence[SessionFeatures], keys: frozenset[str]) -> set[str]:
    """Names of the clips of the trials in `keys`."""
    trials = ((session, trial) for session in sessions for trial in session.trials)
    return {trial.stimulus for session, trial in trials if session.key(trial) in keys}


def _refuse_shared(where: tuple[str, str, str], what: str, shared: Iterable[str]) -> None:
    names = sorted(shared)
    if names:
        split, first, second = where
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise TrainingError(
            f"leak in split {split!r}: {what} {', '.join(names[:3])}{more} is in {first} and in {second}"
        )


def signals_of(sessions: Sequence[SessionFeatures], keys: frozenset[str]) -> dict[bytes, str]:
    """Digests of the signal of the trials in `keys`, and which trial each is of."""
    digests: dict[bytes, str] = {}
    for session in sessions:
        trials = [trial for trial in session.trials if session.key(trial) in keys]
        for modality, values in session.values.items():
            pieces = [(trial, _stretches(session, trial, modality)) for trial in trials]
            for trial, stretches in pieces:
                for at in stretches:
                    runs = _runs(values[at], _rows_of(session, at))
                    digests |= dict.fromkeys(runs, session.key(trial))
            every = [at for _, stretches in pieces for at in stretches]
            if every and (whole := _whole(values[np.concatenate(every)])):
                digests[whole] = session.key(trials[0])
    return digests


def _stretches(session: SessionFeatures, trial: Trial, modality: str) -> list[NDArray[np.intp]]:
    """Indices of a trial's usable rows, cut where one is missing or a segment begins."""
    at = np.flatnonzero(session.inside(trial) & session.usable[modality])
    if not len(at):
        return []
    spacing_s = np.diff(session.end_s[at])
    cuts = (np.diff(at) > 1) | (spacing_s > 1.5 * np.median(spacing_s) if len(spacing_s) else False)
    return np.split(at, np.flatnonzero(cuts) + 1)


def _rows_of(session: SessionFeatures, at: NDArray[np.intp]) -> int:
    """How many rows of a stretch make a run, at least two."""
    if len(at) < 2:
        return 2
    return max(2, round(RUN_S / float(np.median(np.diff(session.end_s[at])))))


def _runs(rows: Rows, length: int) -> Iterator[bytes]:
    """Digest of each `length` rows on end in which enough features vary; of all where there are fewer."""
    length = min(length, len(rows))
    if length < 2:
        return
    changes = np.cumsum(_changed(rows), axis=0)
    before = np.vstack([np.zeros((1, rows.shape[1]), dtype=changes.dtype), changes])
    varied = (before[length - 1 :] > before[: len(before) - length + 1]).sum(axis=1)
    single = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows]
    for start in np.flatnonzero(varied >= FEWEST_VARIED).tolist():
        yield _digest(single[start : start + length])


def _whole(rows: Rows) -> bytes:
    """Digest of all rows of a session whose features are few; b"" where they are many, or hardly change."""
    if rows.shape[1] >= FEWEST_VARIED or _changed(rows).any(axis=1).sum() < FEWEST_CHANGES:
        return b""
    return _digest([rows.tobytes()])


def _changed(rows: Rows) -> NDArray[np.bool_]:
    """Where a feature is not what it was a row before, (n - 1, F)."""
    known = np.nan_to_num(rows)
    return np.asarray(known[1:] != known[:-1])


def _digest(parts: Iterable[bytes]) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=16).digest()
