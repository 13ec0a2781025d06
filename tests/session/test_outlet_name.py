"""Two sessions on one network have names that a script can tell apart."""

import io

import pytest
from rich.console import Console

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.session.outlet_name import free_name, with_own_name


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        ({}, "bci_m2s"),
        ({"other": {"lab"}}, "bci_m2s"),
        ({"bci_m2s": {"lab"}}, "bci_m2s-2"),
        ({"bci_m2s": {"lab"}, "bci_m2s-2": {"lab"}, "bci_m2s-4": {"lab"}}, "bci_m2s-3"),
        ({"bci_m2s": {"far"}}, "bci_m2s-lab"),
        ({"bci_m2s": {"far", "lab"}, "bci_m2s-lab": {"lab"}}, "bci_m2s-lab-2"),
    ],
)
def test_a_name_that_is_free(taken, name):
    assert free_name("bci_m2s", taken, "lab") == name


class Known:
    """Neighbours that are known."""

    def __init__(self, taken):
        self.names = lambda: taken


def named(wanted, taken, monkeypatch):
    """The name that a session gets, and what was said."""
    monkeypatch.setattr("socket.gethostname", lambda: "lab")
    said = io.StringIO()
    console = Console(file=said, width=200)
    session = with_own_name(SessionDescription(outlet_name=wanted), Known(taken), console)
    return session.outlet_name, said.getvalue().strip()


def test_a_name_that_nobody_has_is_kept_without_a_word(monkeypatch):
    assert named("bci_m2s", {"other": {"far"}}, monkeypatch) == ("bci_m2s", "")


def test_the_usual_name_gets_a_suffix_and_that_is_said(monkeypatch):
    said = "outlet 'bci_m2s': a session on far has this name, so this one is 'bci_m2s-lab'"
    assert named("bci_m2s", {"bci_m2s": {"far"}}, monkeypatch) == ("bci_m2s-lab", said)


def test_a_name_of_ones_own_is_kept_and_the_clash_is_said(monkeypatch):
    said = "outlet 'mine': a session on lab has this name too; scripts cannot tell them apart by it"
    assert named("mine", {"mine": {"lab"}}, monkeypatch) == ("mine", said)
