"""BIDS' tables of what happened: ``events.tsv`` beside the samples, ``beh.tsv`` with the self-reports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci_m2s.handover.content import Content
from bci_m2s.handover.marks import Mark, rating_scales
from bci_m2s.handover.scales import column_of, scales_in
from bci_m2s.handover.tables import seconds, write_json, write_tsv

KINDS = {
    "trial": "a trial of the protocol; trial_type is its label",
    "marker": "a marker as it was received; trial_type is its text",
    "bad": "samples that cannot be used; all channels where channel is n/a",
    "event": "what the session reported",
}
DESCRIPTIONS = {
    "trial_type": "Label of the trial, text of the marker, or BAD_... for what cannot be used.",
    "channel": "The channel that is bad.",
    "trial": "Number of the trial in the order of the protocol, from 1.",
    "attempt": "Which attempt at this trial, from 1; the last one counts.",
    "block": "Block of the protocol, from 1.",
    "item": "The clip, picture or task, as the protocol names it.",
    "excluded": "Why the trial does not count; n/a where it does.",
    "flags": "What is to be known of the trial.",
}
TRIAL_COLUMNS = ("trial", "attempt", "block", "item", "excluded", "flags", "onset_spread")


@dataclass(frozen=True, slots=True)
class Screen:
    """distance_m : from the eyes; size_m : width and height; pixels : the same."""

    distance_m: float
    size_m: tuple[float, float]
    pixels: tuple[int, int]

    def described(self) -> dict[str, Any]:
        """As BIDS has it."""
        return {
            "ScreenDistance": self.distance_m,
            "ScreenSize": list(self.size_m),
            "ScreenResolution": list(self.pixels),
            "ScreenOrigin": ["top", "left"],
        }


def write_events(path: Path, content: Content, screen: Screen | None) -> None:
    """``events.tsv`` at `path`, and its JSON beside it."""
    names = _trial_columns(content)
    columns = ["onset", "duration", "trial_type", "kind", "channel", *names.values()]
    rows = [
        [*_when(mark), mark.text, mark.kind, mark.channel, *_told(mark, names)] for mark in content.marks
    ]
    write_tsv(path, columns, rows)
    described: dict[str, Any] = {
        "onset": {"Description": "From the first sample of the recording.", "Units": "s"},
        "duration": {"Description": "n/a where it has none.", "Units": "s"},
        "trial_type": {"Description": DESCRIPTIONS["trial_type"]},
        "kind": {"Description": "What kind of row it is.", "Levels": KINDS},
        "channel": {"Description": DESCRIPTIONS["channel"]},
        **_described(names, content),
    }
    if screen is not None:
        described["StimulusPresentation"] = screen.described()
    write_json(path.with_suffix(".json"), described)


def write_self_reports(path: Path, content: Content) -> None:
    """``beh.tsv`` at `path`: one row per attempt at a trial, with its ratings; and its JSON.

    Onsets and durations are in ``events.tsv`` alone: a table with both is to be one of events, says BIDS.
    """
    names = _trial_columns(content)
    trials = [mark for mark in content.marks if mark.kind == "trial"]
    rows = [[*_told(mark, names), mark.text] for mark in trials]
    write_tsv(path, [*names.values(), "trial_type"], rows)
    described = {**_described(names, content), "trial_type": {"Description": "Label of the trial."}}
    write_json(path.with_suffix(".json"), described)


def _when(mark: Mark) -> tuple[str, str]:
    return seconds(mark.onset_s), seconds(mark.duration_s)


def _trial_columns(content: Content) -> dict[str, str]:
    """By key of ``Mark.told`` the column's name; none without trials."""
    if not content.trials:
        return {}
    names = {name: name for name in TRIAL_COLUMNS}
    for scale in rating_scales(content.trials):
        plain = "rating_" + (re.sub(r"[^A-Za-z0-9_]", "_", scale) or "scale")
        while plain in names.values():
            plain += "_"
        names[f"rating_{scale}"] = plain
    return names


def _told(mark: Mark, names: Sequence[str] | Mapping[str, str]) -> list[str]:
    return [mark.told.get(name, "") for name in names]


def _described(names: Mapping[str, str], content: Content) -> dict[str, Any]:
    asked, made = scales_in(content.path.parent), dict[str, Any]()
    for key, name in names.items():
        if key == "onset_spread":
            text = "Standard deviation of the estimated onset; n/a where it is not estimated."
            made[name] = {"Description": text, "Units": "s"}
        elif key in DESCRIPTIONS:
            made[name] = {"Description": DESCRIPTIONS[key]}
        else:
            made[name] = column_of(key.removeprefix("rating_"), asked)
    return made
