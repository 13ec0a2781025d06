"""Who could answer a participant's questions beside the terminal."""

from types import SimpleNamespace

from bci_m2s.session.companions import Companions


def can_answer(*, own_panel_is_open, proven):
    companions = Companions.__new__(Companions)
    companions._remote = None
    companions._panel = SimpleNamespace(is_open=own_panel_is_open)
    connections = [SimpleNamespace(proven=one) for one in proven]
    companions._server = SimpleNamespace(connections=lambda: connections)
    return companions.can_answer()


def test_a_panel_that_was_opened_again_by_hand_can_answer():
    assert can_answer(own_panel_is_open=True, proven=[])
    assert not can_answer(own_panel_is_open=False, proven=[False])
    assert can_answer(own_panel_is_open=False, proven=[False, True])
