"""A ready model on people who did not train it.

``bci-m2s evaluate FILE --model MODEL`` and ``bci-m2s evaluate MODEL --on FILE``
"""

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
from bci_m2s.model.contract import Contract
from bci_m2s.model.model_file import load_model_file, unpack_modality
from bci_m2s.model.predictor import Predictor
from bci_m2s.text import printable
from bci_m2s.training.check.ready_model import ReadyModel
from bci_m2s.training.check.training_file import count as counted
from bci_m2s.training.data.load import load_sessions
from bci_m2s.training.data.second_set import folder_on, load_second, scaled_windows
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.data.windows import Names, Scaler
from bci_m2s.training.datasets.recorded_files import recordings_below
from bci_m2s.training.results.evaluation import (
    Direction,
    EvaluationSetup,
    Result,
    evaluate_directions,
)
from bci_m2s.training.results.protocol import people_with_tests, who_tested
from bci_m2s.training.results.report import ResultsOf, write_results
from bci_m2s.training.results.summary import Summary, not_counted, one_class_lines, summarise
from bci_m2s.training.results.tables import explained, markdown, table
from bci_m2s.training.settings import TrainingSettings

MOST_PEOPLE = 12
LEARNT_FROM = ("train", "validation")  # parts that had a say in the model
PAST = ("trained", "validated")


def run_judging(ready: ReadyModel, folder: Path | None, console: Console) -> None:
    """Evaluate a model file on the people of a data set who did not train it.

    folder : of the run, which keeps features and results

    Raises
    ------
    UsageError
        Everybody trained the model.
    """
    contract, tensors = load_model_file(ready.model)
    judged = ready.settings.contract
    folder = folder or Path("runs") / (ready.path if ready.second is None else ready.model).stem
    if ready.second is None:
        sessions = load_sessions(ready.settings, folder / "features", console)
    else:
        sessions = load_second(ready.second, judged, folder / "features", console).sessions
    kept, left_out = _strangers(ready, sessions)
    if not kept:
        raise UsageError(
            f"{ready.model}: trained on everybody here ({_listed(left_out)}): nothing can be said of how "
            "well it does on new people; name other data with --data FOLDER"
        )
    windows = scaled_windows(ready.settings, _scalers(judged, tensors), kept)
    predictor = Predictor(contract, tensors, "cpu")
    facts = [_model_line(contract), _data_line(ready, kept)]
    remarks = _remarks(ready, kept, left_out)
    lines = [*facts, *remarks]
    for line in lines:
        console.print(line, style="yellow" if line in remarks else "", soft_wrap=True)
    found: list[Result] = []
    names, protocols = Names.of(kept), {}
    for head, spec in contract.heads.items():
        setup = EvaluationSetup(ready.model.stem, 0, head, len(spec.classes), names.subjects)
        directions: list[Direction] = [
            (_teacher(contract, name, head), name, partial(predictor.predict_proba, name, head=head))
            for name in judged.modalities
        ]
        results = evaluate_directions(setup, ready.model.stem, windows, directions, {})
        summaries = summarise(results)
        if not summaries:
            console.print(f"{head}: no window has a label", style="yellow")
            continue
        found += results
        console.print(table(summaries, f"{ready.model.name}: {head}"))
        tested = people_with_tests(windows, names, head, judged.modalities)
        who = who_tested([tested], names.subjects, not_counted(results, head))
        who += one_class_lines(results, head)
        protocols[head] = [*lines, *who]
        for line in (*explained(summaries, []), *who):
            console.print(line, markup=False)
        for summary in summaries:
            console.print(_support(summary, spec.classes), soft_wrap=True)
    if found:
        console.print(f"Results: {_write(folder, ready, found, protocols)}", soft_wrap=True)


def _write(
    folder: Path, ready: ReadyModel, found: Sequence[Result], protocols: Mapping[str, Sequence[str]]
) -> Path:
    """Write the results: as ``evaluate`` does on other data, else beside those of before.

    protocols : head → lines
    """
    stem, contract, summaries = ready.model.stem, ready.settings.contract, summarise(found)
    heads = list(protocols)
    if ready.second is not None:
        folder /= folder_on(ready.path)
        classes = {head: contract.heads[head].classes for head in heads}
        of = ResultsOf(f"{ready.model.name} on {ready.path.stem}", stem, classes, [0])
        write_results(folder, of, found, summaries, [], protocols)
        return folder / "results.md"
    parts = [f"# {ready.model.name}\n"]
    for head in heads:
        rows = [one for one in summaries if one.head == head]
        parts.append(f"## {head}\n\n{markdown(rows, protocols[head], contract.heads[head].classes)}")
    return _write_beside(folder, stem, parts)


def _write_beside(folder: Path, stem: str, parts: Sequence[str]) -> Path:
    """Write what was found beside what was found before: MODEL.md, MODEL-2.md and so on."""
    names = (f"{stem}.md" if number == 1 else f"{stem}-{number}.md" for number in count(1))
    path = next(path for name in names if not (path := folder / name).exists())
    write_whole(path, "\n".join(parts), overwrite=False)
    return path


def _teacher(contract: Contract, modality: str, head: str) -> str:
    """The modality whose labels trained a classifier; itself where the file names no other."""
    calibration = contract.modalities[modality].calibration.get(head)
    if calibration is not None and calibration.windows_of:
        return calibration.windows_of
    finetune = contract.training.get("finetune")
    labels = finetune.get("labels") if isinstance(finetune, dict) else None
    return labels if isinstance(labels, str) and labels != "own" else modality


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
    if ready.settings.data.format == "simulated" and _seed(record) == _seed_of(ready.settings):
        names |= _entries(record, "simulator")
    sums = _entries(record, "recordings")
    known = _by_checksum(ready.settings, sums) if own and sums else set()
    people = names | {key.split("/")[0] for key in known}  # with all of their sessions
    trained = [session.subject in people for session in sessions]
    kept = [session for session, is_known in zip(sessions, trained, strict=True) if not is_known]
    left_out = [session.subject for session, is_known in zip(sessions, trained, strict=True) if is_known]
    return kept, list(dict.fromkeys(left_out))


def _seed(record: Mapping[str, Any]) -> Any:
    """Seed of the simulated people that trained a model; None where the record knows none."""
    simulator = record.get("simulator")
    return simulator.get("seed") if isinstance(simulator, dict) else None


def _seed_of(settings: TrainingSettings) -> Any:
    return settings.data.simulator.get("seed", 0)


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


def _scalers(contract: Contract, tensors: Mapping[str, Any]) -> dict[str, Scaler]:
    """The standardisation that a model file holds, by modality."""
    own = {name: unpack_modality(tensors, name) for name in contract.modalities}
    return {
        name: Scaler(of["scaler.mean"], of["scaler.std"], of["baseline.std"]) for name, of in own.items()
    }


def _model_line(contract: Contract) -> str:
    """What made a model, as far as its record, which may come from anyone, says it."""
    record = contract.training
    numbers, words = record.get("people"), [f"Model: {contract.name}"]
    if isinstance(data := record.get("data"), str):
        words.append(f"trained on {data}")
    if isinstance(numbers, dict):
        people = (f"{numbers.get(part)} {verb}" for part, verb in zip(LEARNT_FROM, PAST, strict=True))
        words.append(f"of whose people {' and '.join(people)}")
    return printable(", ".join(words), 300)


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
    if not names and _seed(record) is None:
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
