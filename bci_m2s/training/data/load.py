"""From a training file to sessions of step features; those of raw signals are kept on disk."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console

import bci_m2s
from bci_m2s.errors import ConfigurationError, RecordingError
from bci_m2s.model.contract import Contract
from bci_m2s.signal.quality import say_never_used
from bci_m2s.text import printable
from bci_m2s.training.data.kept import read_features, write_features
from bci_m2s.training.data.sessions import SessionFeatures, from_raw, from_steps, with_distributed
from bci_m2s.training.datasets import RAW, find_dataset
from bci_m2s.training.datasets.layout import DataSet, Problem, RawSegment, said_once
from bci_m2s.training.datasets.recorded_files import count_recordings
from bci_m2s.training.settings import TrainingSettings

WORKERS = 2  # processes that compute features; more memory than speed beyond that
WORTH_WORKERS_S = 10.0  # each of them takes seconds to start: it imports what this one has already
LEAST_USABLE = 0.1  # share of a session's steps; less is said
_Outcome = SessionFeatures | str


def load_sessions(
    settings: TrainingSettings, cache: Path | None, console: Console
) -> list[SessionFeatures]:
    """Every session that a training file names; features of raw signals are kept in `cache`.

    Raises
    ------
    ConfigurationError
        The data set has no such features, or nothing was found.
    """
    contract, data = settings.contract, settings.data
    data_set, feature = find_dataset(data.format, data.feature)
    problems: list[Problem] = []
    if data.raw or data_set.read is None:
        sessions = _from_segments(settings, data_set, cache, console, problems)
        sessions = _complete(settings, sessions, data_set, feature, problems)
    else:
        assert data.root is not None  # checked with the settings
        _check_sizes(contract, data_set.modalities, data_set.name, contract.modalities)
        trials = data_set.read(data.root, feature, problems.append)
        wanted = (trial for trial in trials if not data.subjects or str(trial.subject) in data.subjects)
        sizes = {name: spec.feature.n_features for name, spec in contract.modalities.items()}
        sessions = from_steps(wanted, data_set.step_s[feature], sizes)
    n_files = count_recordings(data.root) if data.format == "recordings" else 0
    for line in said_once(problems, n_files):
        console.print(line, markup=False, soft_wrap=True)
    sessions = [replace(one, trials=data_set.named(one.session, one.trials)) for one in sessions]
    if not sessions:
        where = f"data.root: {data.root}" if data.root else "data"
        raise ConfigurationError(f"{where}: no session of {data.format} found")
    for line in _hardly_usable(sessions, contract):
        console.print(line, markup=False)
    return sessions


def _hardly_usable(sessions: Sequence[SessionFeatures], contract: Contract) -> Iterator[str]:
    """A line for each modality of a session that can hardly be used, or lacks a channel throughout.

    What a data set distributes it has for some people and trials alone, which its reader tells of.
    """
    given = [name for name, spec in contract.modalities.items() if spec.feature.name == "distributed"]
    for name in given:
        if not any(session.usable[name].any() for session in sessions):
            yield f"{name}: no session has a step of it"
    said_of: dict[str, list[str]] = {}
    for session in sessions:
        for modality in [name for name in session.usable if name not in given]:
            usable = session.usable[modality]
            where = f"subject {session.subject}, session {session.session}: "
            count, n = np.count_nonzero(usable), len(usable)
            if count < LEAST_USABLE * n:
                why = session.problems.get(modality)
                words = f"{count} of {n} steps are usable{f': {printable(why)}' if why else ''}"
                yield f"{where}{modality}: {words}"
            elif said := say_never_used(session.never_used.get(modality, {})):
                said_of.setdefault(f"{modality}: {printable(said, 500)}", []).append(where)
    for said, found in said_of.items():
        alone = len(found) == 1
        yield f"{found[0]}{said}" if alone else f"{said} (in {len(found)} of {len(sessions)} sessions)"


def _complete(
    settings: TrainingSettings,
    sessions: list[SessionFeatures],
    data_set: DataSet,
    feature: str,
    problems: list[Problem],
) -> list[SessionFeatures]:
    """Sessions of raw signals with the modalities that the contract takes as distributed."""
    contract = settings.contract
    given = [name for name, spec in contract.modalities.items() if spec.feature.name == "distributed"]
    if not given or data_set.read is None or settings.data.root is None:
        return sessions
    _check_sizes(contract, data_set.modalities, data_set.name, given)
    trials = [] if feature == RAW else list(data_set.read(settings.data.root, feature, problems.append))
    completed = []
    for session in sessions:
        own = [
            trial
            for trial in trials
            if (str(trial.subject), str(trial.session)) == (session.subject, session.session)
        ]
        for name in given:
            session = with_distributed(session, own, name, data_set.step_s[feature], contract.window.hop_s)
        completed.append(session)
    return completed


def _check_sizes(
    contract: Contract, sizes: Mapping[str, int], name: str, modalities: Iterable[str]
) -> None:
    for modality in modalities:
        spec = contract.modalities[modality]
        if sizes.get(modality) != spec.feature.n_features:
            raise ConfigurationError(
                f"contract.modalities.{modality}.feature.n_features: got {spec.feature.n_features}, "
                f"{name} has {sizes.get(modality, 'no such modality')}"
            )


def _from_segments(
    settings: TrainingSettings,
    data_set: DataSet,
    cache: Path | None,
    console: Console,
    problems: list[Problem],
) -> list[SessionFeatures]:
    """Features of every session; those in the cache are read instead.

    A session that cannot be read is reported on the console and left out.
    """
    data, contract = settings.data, settings.contract
    folder = None if cache is None else cache / _fingerprint(settings)
    found: list[Problem] = []
    read = data_set.skim or data_set.sessions
    listed = list(_wanted(settings, read(data, contract, found.append)))
    if data_set.skim is None or all(_is_kept(folder, segments) for segments in listed):
        problems += found
        raw: Iterable[list[RawSegment]] = listed
    else:  # one file after the other: each is read whole
        raw = _wanted(settings, data_set.sessions(data, contract, problems.append))
    names: list[str] = []

    def calls() -> Iterator[partial[_Outcome]]:
        for segments in raw:
            names.append(f"{segments[0].subject}/{segments[0].session}")
            if not _is_kept(folder, segments):
                console.print(f"features: {names[-1]}, {len(names)}/{len(listed)}", markup=False)
            yield partial(_compute, segments, contract, _kept_in(folder, segments))

    sessions = []
    for number, session in enumerate(_computed(calls(), len(listed))):
        if isinstance(session, SessionFeatures):
            sessions.append(session)
        else:  # one bad file does not end a training
            console.print(f"left out: {names[number]}: {session}", markup=False)
    return sessions


def _state(segments: Sequence[RawSegment]) -> str:
    """Part of a file's name that changes when a recording does, or what stands beside it."""
    states = "".join(segment.state for segment in segments)
    return f"-{hashlib.blake2b(states.encode(), digest_size=6).hexdigest()}" if states else ""


def _wanted(settings: TrainingSettings, sessions: Iterable[list[RawSegment]]) -> Iterator[list[RawSegment]]:
    people = settings.data.subjects
    for segments in sessions:
        if segments and (not people or segments[0].subject in people):
            yield segments


def _kept_in(folder: Path | None, segments: Sequence[RawSegment]) -> Path | None:
    """The file that keeps a session's features."""
    return (
        None
        if folder is None
        else folder / f"{segments[0].subject}-{segments[0].session}{_state(segments)}.npz"
    )


def _is_kept(folder: Path | None, segments: Sequence[RawSegment]) -> bool:
    path = _kept_in(folder, segments)
    return path is not None and path.exists()


def _computed(calls: Iterable[partial[_Outcome]], expected: int) -> Iterator[_Outcome]:
    """Sessions one after the other; two at a time once what is left is worth starting processes."""
    remaining = iter(calls)
    for done, call in enumerate(remaining, 1):
        begun = time.perf_counter()
        outcome = call()
        left_s = (time.perf_counter() - begun) * (expected - done)
        yield outcome
        if left_s > WORTH_WORKERS_S:
            others = (delayed(call)() for call in remaining)
            yield from Parallel(n_jobs=WORKERS, return_as="generator")(others)
            return


def _compute(segments: list[RawSegment], contract: Contract, path: Path | None) -> _Outcome:
    """A session, or why there is none."""
    if path is not None and path.exists():
        return read_features(path)
    try:
        session = from_raw(segments, contract)
    except RecordingError as problem:
        return str(problem)
    if path is not None:
        write_features(path, session)
    return session


def _fingerprint(settings: TrainingSettings) -> str:
    """Name of the cache's folder; changes with anything that features depend on."""
    contract = settings.contract
    about = {
        "version": bci_m2s.__version__,
        "trials": 2,  # they name their stimulus
        "coupling": True,  # sessions kept without it are computed again
        "data": settings.data.model_dump(mode="json"),
        "window": contract.window.model_dump(),
        "modalities": {
            name: spec.model_dump(
                include={
                    "stream_type",
                    "channels",
                    "units",
                    "reference",
                    "feature",
                    "smoothing",
                    "quality",
                    "amplitude",
                    "max_missing",
                }
            )
            for name, spec in contract.modalities.items()
        },
    }
    text = json.dumps(about, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
