"""``bci-m2s evaluate FILE --model MODEL``: a ready model on people who did not train it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bci_m2s.errors import UsageError
from bci_m2s.files.checksum import file_sha256
from bci_m2s.files.whole import write_whole
from bci_m2s.model.model_file import layout_order, load_model_file, unpack_modality
from bci_m2s.model.predictor import Predictor
from bci_m2s.training.check.ready_model import ReadyModel
from bci_m2s.training.check.training_file import count as counted
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.sessions import Rows, SessionFeatures, normalised
from bci_m2s.training.data.windows import Names, Scaler, WindowSet, cut_windows, standardised
from bci_m2s.training.datasets.recorded_files import recordings_below
from bci_m2s.training.results.evaluation import (
    Direction,
    EvaluationSetup,
    evaluate_directions,
)
from bci_m2s.training.results.summary import Summary, summarise
from bci_m2s.training.results.tables import markdown, table
from bci_m2s.training.settings import TrainingSettings

MOST_PEOPLE = 12
LEARNT_FROM = ("train", "validation")  # parts that had a say in the model


def run_judging(ready: ReadyModel, folder: Path | None, console: Console) -> None:
    """Evaluate a model file on the people of a data set who did not train it.

    folder : of the run, which keeps features and results

    Raises
    ------
    UsageError
        Everybody trained the model.
    """
    contract, tensors = load_model_file(ready.model)
    folder = folder or Path("runs") / ready.path.stem
    sessions = load_sessions(ready.settings, folder / "features", console)
    kept, left_out = _strangers(ready, sessions)
    if not kept:
        raise UsageError(
            f"{ready.model}: trained on everybody here ({_listed(left_out)}): nothing can be said of how "
            "well it does on new people; name other data with --data FOLDER"
        )
    windows, parts = _windows(ready.settings, tensors, kept), [f"# {ready.model.name}\n"]
    predictor = Predictor(contract, tensors, "cpu")
    labels = _labels(contract.training)
    lines = [_data_line(ready, kept), *_remarks(ready, kept, left_out)]
    for line in lines:
        console.print(line, style="" if line is lines[0] else "yellow", soft_wrap=True)
    for head, spec in contract.heads.items():
        setup = EvaluationSetup(ready.model.stem, 0, head, len(spec.classes), Names.of(kept).subjects)
        directions: list[Direction] = [
            (labels or name, name, partial(predictor.predict_proba, name, head=head))
            for name in contract.modalities
        ]
        results = evaluate_directions(setup, ready.model.stem, windows, directions, {})
        summaries = summarise(results)
        if not summaries:
            console.print(f"{head}: no window has a label", style="yellow")
            continue
        console.print(table(summaries, f"{ready.model.name}: {head}"))
        parts.append(f"## {head}\n\n{markdown(summaries, lines, spec.classes)}")
        for summary in summaries:
            console.print(_support(summary, spec.classes), soft_wrap=True)
    if parts[1:]:
        console.print(f"Results: {_write(folder, ready.model.stem, parts)}", soft_wrap=True)


def _write(folder: Path, stem: str, parts: Sequence[str]) -> Path:
    """Write what was found beside what was found before: MODEL.md, MODEL-2.md and so on."""
    names = (f"{stem}.md" if number == 1 else f"{stem}-{number}.md" for number in count(1))
    path = next(path for name in names if not (path := folder / name).exists())
    write_whole(path, "\n".join(parts), overwrite=False)
    return path


def _labels(record: Mapping[str, Any]) -> str:
    """The modality whose labels trained all classifiers, "" where each had its own."""
    finetune = record.get("finetune")
    labels = finetune.get("labels") if isinstance(finetune, dict) else None
    return labels if isinstance(labels, str) and labels != "own" else ""


def _strangers(
    ready: ReadyModel, sessions: Sequence[SessionFeatures]
) -> tuple[list[SessionFeatures], list[str]]:
    """Sessions of people who did not train the model, and the people who did.

    People are known by name in the training file's own data and in published data sets, recordings by their
    checksums anywhere.
    """
    record = ready.settings.contract.training
    own = ready.settings.data.format == "recordings"
    by_name = not ready.is_other or (not own and record.get("data") == ready.settings.data.format)
    names = _entries(record, "subjects") if by_name else set()
    sums = _entries(record, "recordings")
    known = _by_checksum(ready.settings, sums) if own and sums else set()
    trained = [
        session.subject in names or f"{session.subject}/{session.session}" in known for session in sessions
    ]
    kept = [session for session, is_known in zip(sessions, trained, strict=True) if not is_known]
    left_out = [session.subject for session, is_known in zip(sessions, trained, strict=True) if is_known]
    return kept, list(dict.fromkeys(left_out))


def _by_checksum(settings: TrainingSettings, sums: set[str]) -> set[str]:
    """PERSON/SESSION of the recordings that are among those of these checksums."""
    assert settings.data.root is not None  # own recordings have one
    files = recordings_below(settings.data.root)
    return {f"{file.subject}/{file.session}" for file in files if file_sha256(file.path) in sums}


def _entries(record: Mapping[str, Any], key: str) -> set[str]:
    """What a training record, which may come from anyone, says of the parts that made the model."""
    parts = record.get(key)
    lists = [parts.get(part) for part in LEARNT_FROM] if isinstance(parts, dict) else []
    return {str(entry) for entries in lists if isinstance(entries, list) for entry in entries}


def _windows(
    settings: TrainingSettings, tensors: Mapping[str, Any], sessions: Sequence[SessionFeatures]
) -> WindowSet:
    """The windows of labelled trials, standardised as the model's are."""
    contract = settings.contract
    scalers = {}
    for name in contract.modalities:
        own = unpack_modality(tensors, name)
        scalers[name] = Scaler(own["scaler.mean"], own["scaler.std"], own["baseline.std"])
    rows: list[dict[str, Rows]] = []
    for session in sessions:
        of_session = {}
        for name, spec in contract.modalities.items():
            scaled = normalised(session, name, spec, contract.window, scalers[name].spread)
            order = layout_order(spec)
            of_session[name] = scaled if order is None else scaled[:, order]
        rows.append(of_session)
    keys = {session.key(trial) for session in sessions for trial in session.trials}
    return standardised(cut_windows(sessions, rows, keys, settings, Names.of(sessions)), scalers)


def _data_line(ready: ReadyModel, sessions: Sequence[SessionFeatures]) -> str:
    data = ready.settings.data
    where = f" in {data.root}" if data.root is not None else ""
    people = list(dict.fromkeys(session.subject for session in sessions))
    trials = sum(len(session.trials) for session in sessions)
    return (
        f"Data: {data.format}{where}: {counted(len(people), 'person', 'people')} ({_listed(people)}), "
        f"{counted(trials, 'trial')}"
    )


def _remarks(ready: ReadyModel, sessions: Sequence[SessionFeatures], left_out: Sequence[str]) -> list[str]:
    lines = []
    if left_out:
        lines.append(f"left out, because they trained the model: {_listed(left_out)}")
    record = ready.settings.contract.training
    names = _entries(record, "subjects")
    same = list(dict.fromkeys(session.subject for session in sessions if session.subject in names))
    if same:
        lines.append(
            f"note: people of these names trained the model: {_listed(same)}; if they are the same people, "
            "the figures say little of new ones"
        )
    if not names:
        lines.append("note: the model does not say who trained it; some of these people may have")
    return lines


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_PEOPLE} more" if len(names) > MOST_PEOPLE else ""
    return ", ".join(names[:MOST_PEOPLE]) + more


def _support(summary: Summary, classes: Sequence[str]) -> str:
    counts = ", ".join(f"{name} {n}" for name, n in zip(classes, summary.support, strict=True))
    chance = f"chance {1 / len(classes):.2f}"
    matrix = np.asarray(summary.confusion).tolist()
    return f"{summary.direction}: {chance}; test windows {counts}; confusion (rows truth) {matrix}"
