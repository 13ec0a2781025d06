"""What the training commands say before they begin."""

from pathlib import Path
from types import SimpleNamespace

from bci_m2s.commands import training_cli
from bci_m2s.training.check import training_file


def test_what_is_odd_about_a_training_file_is_said_by_every_command(monkeypatch, capsys):
    """As ``check`` says it: a baseline that reaches into trials costs windows, whoever trains on them."""
    note = "P1: the baseline of 60 s reaches into trials 1, 2 (eeg)"
    monkeypatch.setattr(training_file, "check_training", lambda _path: SimpleNamespace(notes=[note]))
    training_cli._checked(Path("mine.yaml"))
    assert capsys.readouterr().out.splitlines()[-1] == f"note: {note}"
