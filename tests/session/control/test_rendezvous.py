"""Who is about to begin a session, so that a panel does not begin one too."""

import os
import time

import pytest

from bci_m2s.session.control import rendezvous
from bci_m2s.session.control.rendezvous import someone_starts, starting


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "bci_m2s"


def test_a_start_is_known_while_it_lasts(folder):
    assert not someone_starts()
    with starting():
        assert someone_starts()
        with starting():  # the demo runs a session
            assert someone_starts()
        assert someone_starts()
    assert not someone_starts()
    assert list(folder.iterdir()) == []


def test_what_a_killed_process_left_counts_for_a_minute(folder):
    with starting():
        (left,) = folder.iterdir()
        old_s = time.time() - rendezvous.START_LIMIT_S - 1
        os.utime(left, (old_s, old_s))
        assert not someone_starts()
        assert not left.exists()


def test_without_a_folder_nothing_is_announced_and_nothing_fails(folder):
    folder.parent.joinpath("bci_m2s").write_text("in the way")
    with starting():
        assert not someone_starts()


def test_a_failed_start_is_not_announced_any_more(folder):
    with pytest.raises(ZeroDivisionError), starting():
        raise ZeroDivisionError
    assert list(folder.iterdir()) == []
