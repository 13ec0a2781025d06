"""Participants on a terminal: the table fits it, and says of everybody what matters."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from bci_m2s.session.participants.table import live_table, print_summaries
from bci_m2s.types import Status

REASON = "eeg: stream 'Simulated EEG p02': channels: got no 'TP9', 'AF7', 'AF8', 'TP10', expected others"


def participant(name, snapshot=None, waiting=""):
    contract = SimpleNamespace(class_names={"emotion": ("negative", "neutral")})
    return SimpleNamespace(
        name=name,
        plan=SimpleNamespace(contract=contract),
        snapshot=lambda: snapshot,
        waiting=waiting,
        failure=None,
        is_over=False,
        takes=None,
    )


def running(name):
    estimate = SimpleNamespace(
        status=Status.OK,
        modality="eeg",
        label=lambda _classes: "negative",
        confidence=0.57,
        stamps=SimpleNamespace(age_s=0.023),
    )
    latest = {("eeg", "emotion"): estimate}
    snapshot = SimpleNamespace(latest=latest, problems=(), health=(), recording=None, state="ok")
    return participant(name, snapshot)


def printed(show, width=80):
    console = Console(file=io.StringIO(), width=width)
    show(console)
    return console.file.getvalue().splitlines()


def test_a_long_reason_of_one_takes_no_estimate_of_another_from_a_terminal_of_80_columns():
    people = [running("p01"), participant("p02", waiting=REASON)]
    lines = printed(lambda console: console.print(live_table(people, "muse-4ch")))
    assert max(map(len, lines)) <= 80
    assert lines[-2].split() == ["p01", "EEG", "negative", "0.57", "23", "ms", "ok"]
    assert "stream 'Simulated EEG" in lines[-1]


def test_a_summary_names_in_a_few_words_why_somebody_never_took_part():
    lines = printed(lambda console: print_summaries(console, [participant("p02", waiting=REASON * 5)]), 160)
    assert sum(bool(line.strip()) for line in lines) == 3  # title, headings, one row
