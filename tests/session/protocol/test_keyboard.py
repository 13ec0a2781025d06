"""Keys of a terminal: all that is typed comes, and the terminal is given back however the session ends."""

import os
import sys
import time

import pytest

from bci_m2s.session.terminal.run import _leave_terminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")


@pytest.fixture
def terminal(monkeypatch):
    import pty

    typist, session = pty.openpty()
    with os.fdopen(session) as stdin, os.fdopen(typist, "wb", buffering=0) as keyboard:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield keyboard


def test_what_is_typed_fast_comes_whole_without_arrows(terminal):
    from bci_m2s.session.protocol.keyboard import has_keyboard, reading_keys

    signs = []
    assert has_keyboard()
    with reading_keys(signs.append):
        limit = time.monotonic() + 120.0
        for typed, n_signs in (
            ("müde\n".encode()[:2], 1),  # a letter in two parts
            ("müde\n".encode()[2:] + b"\x1b[A\x1bOPs", 6),
        ):
            terminal.write(typed)
            while len(signs) < n_signs and time.monotonic() < limit:
                time.sleep(0.005)
    assert "".join(signs) == "müde\ns"


@pytest.mark.usefixtures("terminal")
def test_the_terminal_is_given_back_when_the_process_is_ended_by_force():
    import termios

    from bci_m2s.session.protocol.keyboard import reading_keys

    before = termios.tcgetattr(sys.stdin.fileno())
    with reading_keys(lambda _sign: None):
        assert termios.tcgetattr(sys.stdin.fileno()) != before
        _leave_terminal()
        assert termios.tcgetattr(sys.stdin.fileno()) == before
