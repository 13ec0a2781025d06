"""What shows the trials of a guided session, and what is said before it where that cannot be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml
from support.guided_sessions import PROTOCOL, write_protocol

from bci_m2s.commands.session import describe_protocol, run_guided
from bci_m2s.errors import ConfigurationError, OutputError
from bci_m2s.session.protocol.pace import FastClock
from bci_m2s.session.protocol.parts import stimulus_of
from bci_m2s.session.protocol.program import Program
from bci_m2s.session.protocol.settings import load_protocol
from bci_m2s.session.protocol.stimulus import Stimulus

ITEMS = [{"label": "calm", "clip": "a.mp4"}, {"label": "tense", "clip": "b.mp4", "duration_s": 20}]


def shown_by(folder: Path, **trials: object) -> Stimulus | None:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**PROTOCOL, "trials": {"items": ITEMS, **trials}}), encoding="utf-8")
    return stimulus_of(load_protocol(path), path, FastClock(lambda: 0.0))


def test_a_folder_that_holds_something_is_refused_with_the_way_on(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(PROTOCOL), encoding="utf-8")
    with pytest.raises(OutputError, match="the folder is not empty"):
        run_guided(str(mine), tmp_path)
    (tmp_path / "protocol.yaml").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="--resume takes it up again"):
        run_guided(str(mine), tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"simulated": {"montage": "mused"}}, r"simulated: .*unknown montage 'mused'; nearest: 'muse'"),
        ({"simulated": {"montage": "emotiv-14"}}, r"simulated: eeg: .* channels: got no 'TP9'"),
        ({"trials": {"show": "markers"}}, r"trials\.show: got 'markers'"),
    ],
)
def test_what_would_keep_a_session_from_beginning_is_found_by_check(tmp_path, changes, words):
    path = write_protocol(tmp_path, **changes)
    with pytest.raises(ConfigurationError, match=rf"{path.name}: {words}"):
        describe_protocol(path)


def test_words_need_no_player(tmp_path):
    assert shown_by(tmp_path, show="text", duration_s=5) is None


def test_a_program_is_found_or_named(tmp_path):
    assert isinstance(shown_by(tmp_path, show="program", command=[sys.executable, "{item}"]), Program)
    with pytest.raises(
        ConfigurationError, match=r"mine\.yaml: trials: program: command: 'no-such' is not inst"
    ):
        shown_by(tmp_path, show="program", command=["no-such", "{item}"])
    with pytest.raises(ConfigurationError, match=r"mine\.yaml: trials: a\.mp4: no duration"):
        shown_by(tmp_path, show="program", command=[sys.executable, "{duration_s}"])


@pytest.mark.skipif(os.name != "posix", reason="programs are found by their names' endings there")
def test_mpv_and_ffprobe_that_are_not_there_are_named(tmp_path, monkeypatch):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"mpv is not installed.*apt install mpv.*\(and 1 more\)"):
        shown_by(tmp_path, show="clips")


def test_an_option_that_is_none_is_refused(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"got '--script=x\.lua', which bci-m2s sets itself"):
        shown_by(tmp_path, show="clips", screen={"options": ["--script=x.lua"]})


@pytest.mark.parametrize(
    ("length_s", "words"),
    [
        (0.1, "all trials are shorter than a window of the model, 5 s: they hold none"),
        (5.0, "all trials are shorter than 5.25 s, a window and a hop: they may hold no window"),
        (5.25, ""),
    ],
)
@pytest.mark.parametrize("shown", [{}, {"show": "markers", "items": []}])
def test_check_says_which_trials_are_too_short_for_the_model(tmp_path, shown, length_s, words):
    trials = {**PROTOCOL["trials"], "duration_s": length_s, **shown}
    path = write_protocol(tmp_path, trials=trials, simulated=None)
    remarks = [line for line, is_remark in describe_protocol(path) if is_remark]
    expected = f"note: {words}; no estimate and no calibration can come of a trial without a window"
    assert remarks == ([expected] if words else [])
