"""From a training file to windows: sessions, features kept on disk, splits, scalers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.progress import track

import bci_m2s
from bci_m2s.errors import ConfigurationError, RecordingError
from bci_m2s.model.model_file import Contract, layout_order
from bci_m2s.simulator import SimulatorSettings
from bci_m2s.text import printable
from bci_m2s.training.data.sessions import (
    Rows,
    Session,
    Trial,
    from_raw,
    from_steps,
    known,
    normalised,
    typical_spread,
    with_distributed,
)
from bci_m2s.training.data.splits import PARTS, Split, check_apart
from bci_m2s.training.data.windows import (
    Names,
    Scaler,
    WindowSet,
    cut_windows,
    fit_scaler,
    standardised,
)
from bci_m2s.training.datasets import RAW, find_dataset
from bci_m2s.training.datasets.deap import read_deap
from bci_m2s.training.datasets.dreamer import read_dreamer
from bci_m2s.training.datasets.layout import DataSet, Problem, RawSegment
from bci_m2s.training.datasets.recordings import read_recordings
from bci_m2s.training.datasets.simulated import simulated_segments
from bci_m2s.training.settings import TrainingSettings

RATED = {"deap": read_deap, "dreamer": read_dreamer}  # data sets whose classes a threshold makes
WORKERS = 2  # processes that compute features; more memory than speed beyond that


@dataclass(frozen=True)
class UnitData:
    """One split's windows, standardised, by part; the scalers of its training windows."""

    split: Split
    parts: dict[str, WindowSet]
    scalers: dict[str, Scaler]
    names: Names


def load_sessions(settings: TrainingSettings, cache: Path | None, console: Console) -> list[Session]:
    """Every session that a training file names; features of raw signals are kept in `cache`.

    Raises
    ------
    ConfigurationError
        The data set has no such features, or nothing was found.
    """
    contract, data = settings.draft, settings.data
    if data.format == "simulated":
        simulator = SimulatorSettings(
            **_tuples(data.simulator), classes=contract.heads[contract.first_head].classes
        )
        jobs = [
            (f"{person}-{session}", lambda p=person, s=session: simulated_segments(simulator, p, s))
            for person in range(data.persons)
            for session in range(data.sessions)
        ]
        return _from_jobs(settings, jobs, cache, console)
    assert data.root is not None  # checked with the settings
    problems: list[Problem] = []
    if data.format == "recordings":
        raw: Iterator[list[RawSegment]] = read_recordings(
            data.root, contract, data.markers, problems.append
        )
        sessions = _from_segments(settings, raw, cache, console)
    else:
        found, feature = find_dataset(data.format, data.feature)
        if data.raw or found.read is None:
            if found.read_raw is None:
                raise ConfigurationError(f"data.raw: {found.name} distributes no raw signals that are read")
            read_raw = found.read_raw
            if data.threshold is not None:
                if found.name not in RATED:
                    raise ConfigurationError(f"data.threshold: {found.name} has no ratings")
                read_raw = partial(RATED[found.name], threshold=data.threshold)
            sessions = _from_segments(settings, read_raw(data.root, problems.append), cache, console)
            sessions = _complete(settings, sessions, found, feature, problems)
        else:
            _check_sizes(contract, found.modalities, found.name, contract.modalities)
            trials = found.read(data.root, feature, problems.append)
            wanted = (one for one in trials if not data.subjects or str(one.subject) in data.subjects)
            sizes = {name: spec.feature.n_features for name, spec in contract.modalities.items()}
            sessions = from_steps(wanted, found.step_s[feature], sizes)
    for problem in problems:
        console.print(f"{'left out: ' if problem.left_out else 'note: '}{problem}")
    if not sessions:
        raise ConfigurationError(f"data.root: {data.root}: no session of {data.format} found")
    return sessions


def _complete(
    settings: TrainingSettings,
    sessions: list[Session],
    found: DataSet,
    feature: str,
    problems: list[Problem],
) -> list[Session]:
    """Sessions of raw signals with the modalities that the contract takes as distributed."""
    contract = settings.draft
    given = [name for name, spec in contract.modalities.items() if spec.feature.name == "distributed"]
    if not given or found.read is None or settings.data.root is None:
        return sessions
    _check_sizes(contract, found.modalities, found.name, given)
    trials = [] if feature == RAW else list(found.read(settings.data.root, feature, problems.append))
    completed = []
    for session in sessions:
        mine = [
            one
            for one in trials
            if (str(one.subject), str(one.session)) == (session.subject, session.session)
        ]
        for name in given:
            session = with_distributed(session, mine, name, found.step_s[feature], contract.window.hop_s)
        completed.append(session)
    return completed


def _check_sizes(
    contract: Contract, found: Mapping[str, int], name: str, modalities: Iterable[str]
) -> None:
    for modality in modalities:
        spec = contract.modalities[modality]
        if found.get(modality) != spec.feature.n_features:
            raise ConfigurationError(
                f"contract.modalities.{modality}.feature.n_features: got {spec.feature.n_features}, "
                f"{name} has {found.get(modality, 'no such modality')}"
            )


def _from_segments(
    settings: TrainingSettings,
    raw: Iterator[list[RawSegment]],
    cache: Path | None,
    console: Console,
) -> list[Session]:
    wanted = settings.data.subjects
    kept = [one for one in raw if one and (not wanted or one[0].subject in wanted)]
    jobs = [(f"{one[0].subject}-{one[0].session}", lambda one=one: one) for one in kept]
    return _from_jobs(settings, jobs, cache, console)


def _from_jobs(
    settings: TrainingSettings,
    jobs: Sequence[tuple[str, Callable[[], list[RawSegment]]]],
    cache: Path | None,
    console: Console,
) -> list[Session]:
    """Features of every session, two at a time; those in the cache are read instead."""
    contract = settings.draft
    folder = None if cache is None else cache / _fingerprint(settings)
    paths = [None if folder is None else folder / f"{name}.npz" for name, _ in jobs]
    done = Parallel(n_jobs=WORKERS, return_as="generator")(
        delayed(_session)(make, contract, path) for (_, make), path in zip(jobs, paths, strict=True)
    )
    sessions = []
    for (name, _), made in zip(
        jobs, track(done, "features", total=len(jobs), console=console, transient=True), strict=True
    ):
        if isinstance(made, Session):
            sessions.append(made)
        else:  # one bad file does not end a training
            console.print(f"left out: {name}: {made}")
    return sessions


def _session(make: Callable[[], list[RawSegment]], contract: Contract, path: Path | None) -> Session | str:
    """A session, or in words why there is none."""
    if path is not None and path.exists():
        return read_session(path)
    try:
        session = from_raw(make(), contract)
    except RecordingError as problem:
        return str(problem)
    if path is not None:
        write_session(path, session)
    return session


def _fingerprint(settings: TrainingSettings) -> str:
    """Changes with anything that features depend on."""
    contract = settings.draft
    about = {
        "version": bci_m2s.__version__,
        "data": settings.data.model_dump(mode="json"),
        "window": contract.window.model_dump(),
        "modalities": {
            name: spec.model_dump(
                include={"channels", "units", "feature", "smoothing", "quality", "max_missing"}
            )
            for name, spec in contract.modalities.items()
        },
    }
    text = json.dumps(about, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_session(path: Path, session: Session) -> None:
    """Keep a session's features; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {"end_s": session.end_s}
    for name, rows in session.values.items():
        arrays[f"values.{name}"], arrays[f"usable.{name}"] = rows, session.usable[name]
    about = {
        "subject": session.subject,
        "session": session.session,
        "trials": [asdict(trial) for trial in session.trials],
    }
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.replace(path)


def read_session(path: Path) -> Session:
    """Read what ``write_session`` wrote. Raises RecordingError for anything else."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            names = [key.removeprefix("values.") for key in file.files if key.startswith("values.")]
            return Session(
                about["subject"],
                about["session"],
                file["end_s"],
                {name: file[f"values.{name}"] for name in names},
                {name: file[f"usable.{name}"] for name in names},
                tuple(Trial(**trial) for trial in about["trials"]),
            )
    except Exception as problem:  # zip, zlib, JSON and numpy's parser of headers raise nearly every type
        raise RecordingError(
            f"{path}: cannot be read ({printable(problem)}); delete it to compute it anew"
        ) from None


def prepare(
    settings: TrainingSettings, sessions: Sequence[Session], split: Split, names: Names
) -> UnitData:
    """Normalise per person, cut windows of each part, scale by the training windows.

    Raises
    ------
    TrainingError
        A trial, person or signal of one part is in another.
    """
    check_apart(split, sessions)
    contract = settings.draft
    keys = {part: getattr(split, part) for part in PARTS}
    trained = [one for one in sessions if any(one.key(trial) in split.train for trial in one.trials)]
    spreads = {name: typical_spread(trained, name, split.train) for name in contract.modalities}
    concerned = [one for one in sessions if any(one.key(t) in keys[p] for p in PARTS for t in one.trials)]
    rows = [
        {name: _rows(settings, one, name, spreads[name]) for name in contract.modalities}
        for one in concerned
    ]
    parts = {
        part: cut_windows(
            concerned,
            rows,
            keys[part],
            contract,
            names,
            every_hops=settings.windows.every_hops,
            straddling=settings.windows.straddling,
        )
        for part in PARTS
    }
    scalers = {name: fit_scaler(parts["train"], name, spreads[name]) for name in contract.modalities}
    return UnitData(
        split, {part: standardised(one, scalers) for part, one in parts.items()}, scalers, names
    )


def _rows(settings: TrainingSettings, session: Session, modality: str, spread: Any) -> Rows:
    contract = settings.draft
    spec = contract.modalities[modality]
    if settings.windows.own_session:
        rows = session.values[modality].astype(np.float64)
        good = rows[session.usable[modality]]
        mean, std = known(np.nanmean, good), known(np.nanstd, good)
        made = ((rows - mean) / np.where(std > 1e-6, std, 1.0)).astype(np.float32)
    else:
        made = normalised(session, modality, spec, contract.window, spread)
    order = layout_order(spec)
    return made if order is None else made[:, order]


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
