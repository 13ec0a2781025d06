"""Errors are the same on the other side of a process."""

from __future__ import annotations

import inspect
import pickle

import pytest

from bci_m2s import errors

CLASSES = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_keeps_its_kind_and_its_line(kind):
    four = ("contract", "units", {"what": lambda: 0}, "uV")
    words = four if kind is errors.ContractError else ("a line",)
    sent = kind(*words)
    got = pickle.loads(pickle.dumps(sent))
    assert type(got) is kind
    assert str(got) == str(sent)


def test_every_error_of_ours_is_here():
    assert errors.ContractError in CLASSES
    assert len(CLASSES) >= 11
