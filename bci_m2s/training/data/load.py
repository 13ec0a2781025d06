"""From a training file to sessions of step features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rich.console import Console

from bci_m2s.errors import ConfigurationError
from bci_m2s.model.model_file import Contract
from bci_m2s.training.data.feature_cache import compute_features
from bci_m2s.training.data.sessions import SessionFeatures, from_steps, with_distributed
from bci_m2s.training.datasets import RAW, find_dataset
from bci_m2s.training.datasets.layout import DataSet, Problem, RawSegment
from bci_m2s.training.settings import TrainingSettings


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
        raw = data_set.sessions(data, contract, problems.append)
        sessions = _from_segments(settings, raw, cache, console)
        sessions = _complete(settings, sessions, data_set, feature, problems)
    else:
        assert data.root is not None  # checked with the settings
        _check_sizes(contract, data_set.modalities, data_set.name, contract.modalities)
        trials = data_set.read(data.root, feature, problems.append)
        wanted = (trial for trial in trials if not data.subjects or str(trial.subject) in data.subjects)
        sizes = {name: spec.feature.n_features for name, spec in contract.modalities.items()}
        sessions = from_steps(wanted, data_set.step_s[feature], sizes)
    for problem in problems:
        console.print(f"{'left out: ' if problem.left_out else 'note: '}{problem}")
    if not sessions:
        where = f"data.root: {data.root}" if data.root else "data"
        raise ConfigurationError(f"{where}: no session of {data.format} found")
    return sessions


def _complete(
    settings: TrainingSettings,
    sessions: list[SessionFeatures],
    found: DataSet,
    feature: str,
    problems: list[Problem],
) -> list[SessionFeatures]:
    """Sessions of raw signals with the modalities that the contract takes as distributed."""
    contract = settings.contract
    given = [name for name, spec in contract.modalities.items() if spec.feature.name == "distributed"]
    if not given or found.read is None or settings.data.root is None:
        return sessions
    _check_sizes(contract, found.modalities, found.name, given)
    trials = [] if feature == RAW else list(found.read(settings.data.root, feature, problems.append))
    completed = []
    for session in sessions:
        mine = [
            trial
            for trial in trials
            if (str(trial.subject), str(trial.session)) == (session.subject, session.session)
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
) -> list[SessionFeatures]:
    wanted = settings.data.subjects
    kept = [segments for segments in raw if segments and (not wanted or segments[0].subject in wanted)]
    jobs = [
        (f"{segments[0].subject}-{segments[0].session}", lambda segments=segments: segments)
        for segments in kept
    ]
    return compute_features(settings, jobs, cache, console)
