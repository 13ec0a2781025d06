"""The trials of one session, in their order: made once, stored, and taken up again after a crash."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bci_m2s.errors import ConfigurationError
from bci_m2s.files.whole import write_whole
from bci_m2s.model.contract import WindowContract
from bci_m2s.model.trial_lengths import short_trials
from bci_m2s.session.protocol.order import balanced_order, confounding
from bci_m2s.session.protocol.settings import ProtocolSettings, load_protocol

STORED = "protocol.yaml"  # in the session's folder: the protocol, its items in the order of their trials


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial to come.

    number : from 1; block : from 1, ends at a break
    duration_s : None: as long as the clip
    """

    number: int
    label: str
    item: str
    text: str
    duration_s: float | None
    block: int


def draw_order(settings: ProtocolSettings) -> ProtocolSettings:
    """The protocol with its items in the order in which they will be shown, each once per showing.

    A random order without a seed gets one, so that it can be drawn again.
    """
    trials = settings.trials
    items = [item for _ in range(trials.repeats) for item in trials.items]
    seed = trials.seed
    if trials.order == "random" and items:
        seed = secrets.randbelow(2**31) if seed is None else seed
        items = [items[index] for index in balanced_order([item.label for item in items], seed)]
    drawn = {"items": items, "repeats": 1, "order": "fixed", "seed": seed}
    return settings.model_copy(update={"trials": trials.model_copy(update=drawn)})


def planned_trials(settings: ProtocolSettings) -> list[PlannedTrial]:
    """The trials of a protocol whose order is drawn."""
    trials, per_block = settings.trials, settings.breaks.after_trials
    return [
        PlannedTrial(
            number,
            item.label,
            item.clip or item.text,
            item.text,
            item.duration_s if item.duration_s is not None else trials.duration_s,
            1 + (number - 1) // per_block if per_block else 1,
        )
        for number, item in enumerate(trials.items, 1)
    ]


def planned_s(settings: ProtocolSettings) -> float:
    """How long a drawn protocol takes, s, without signal check and answers; 0.0 where clips decide."""
    planned, trials = planned_trials(settings), settings.trials
    lengths = [trial.duration_s for trial in planned]
    if not lengths or any(length is None for length in lengths):
        return 0.0
    shown_s = sum(length or 0.0 for length in lengths)
    pauses_s = len(lengths) * (trials.countdown_s + trials.rest_s)
    breaks_s = settings.breaks.duration_s * max(trial.block for trial in planned)
    return shown_s + pauses_s + breaks_s + settings.baseline.duration_s + settings.live.duration_s


def order_notes(settings: ProtocolSettings, classes: Sequence[str]) -> list[str]:
    """What is to be said of a drawn protocol before it begins. classes : that the model knows"""
    labels = [item.label for item in settings.trials.items]
    notes = [words] if (words := confounding(labels)) else []
    counts = {label: labels.count(label) for label in dict.fromkeys(labels)}
    if len(set(counts.values())) > 1:
        notes.append(
            "classes differ in their number of trials: " + ", ".join(f"{k} {n}" for k, n in counts.items())
        )
    if foreign := [label for label in counts if label not in classes]:
        notes.append(
            f"the model has no class {', '.join(foreign)} (it has {', '.join(classes)}): these trials are "
            "recorded, and no estimate can be right in them"
        )
    return notes


def length_note(settings: ProtocolSettings, window: WindowContract) -> str:
    """What is to be said where trials of known length are too short for the model; "" where none is."""
    trials = settings.trials
    if trials.show == "markers":
        lengths_s = [] if trials.duration_s is None else [trials.duration_s]
    else:
        lengths_s = [one.duration_s for one in planned_trials(settings) if one.duration_s is not None]
    words = short_trials(lengths_s, window)
    return f"{words}; no estimate and no calibration can come of a trial without a window" if words else ""


def store(settings: ProtocolSettings, folder: Path, source: Path) -> None:
    """Keep a drawn protocol in a session's folder; paths in it become absolute.

    source : the protocol file. Raises OutputError; nothing is overwritten.
    """
    here = source.resolve().parent
    trials = settings.trials
    items = [
        item.model_copy(update={"clip": str(here / item.clip)})
        if item.clip and trials.show == "clips"
        else item
        for item in trials.items
    ]
    pipeline = here / settings.pipeline
    kept = settings.model_copy(
        update={
            "pipeline": str(pipeline) if pipeline.is_file() else settings.pipeline,
            "trials": trials.model_copy(update={"items": items}),
        }
    )
    head = (
        f"# The protocol of this session, from {source.name}: its trials in the order of their showing.\n"
    )
    text = yaml.safe_dump(kept.model_dump(exclude_defaults=True), sort_keys=False, allow_unicode=True)
    write_whole(folder / STORED, head + text, overwrite=False, private=True)


def stored(folder: Path) -> ProtocolSettings:
    """The protocol of a session that was begun. Raises ConfigurationError."""
    path = folder / STORED
    if not path.is_file():
        raise ConfigurationError(f"{folder}: got no {STORED}, expected the folder of a guided session")
    return load_protocol(path)
