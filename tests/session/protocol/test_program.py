"""A program of the user's as a stimulus."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path

import pytest

from bci_m2s.errors import ConfigurationError
from bci_m2s.session.protocol.program import Program
from bci_m2s.session.protocol.stimulus import Shown

SHELL = "/bin/sh"  # starts in a millisecond; here it is the user's program, not a way to start it
pytestmark = pytest.mark.skipif(not Path(SHELL).exists(), reason="no /bin/sh to play the program")


def show(
    script: str, *arguments: str, duration_s: float | None = None, waits: bool = False, item: str = "happy"
) -> tuple[Shown, list[float], threading.Event]:
    onsets: list[float] = []
    interrupted = threading.Event()
    program = Program([SHELL, "-c", script, *arguments], time.monotonic, waits)
    return program.present(item, duration_s, interrupted, onsets.append), onsets, interrupted


def test_without_its_word_the_onset_is_the_programs_start():
    begun_s = time.monotonic()
    shown, onsets, _ = show("exit 0")
    assert shown.completed
    assert shown.flags == ("onset is the start of the program",)
    assert begun_s <= shown.onset_s <= shown.stop_s <= time.monotonic()
    assert onsets == [shown.onset_s]
    assert math.isnan(shown.spread_s)


def test_its_word_is_the_onset_and_other_words_are_not():
    shown, onsets, _ = show("echo ready; echo onset; echo onset; echo done; sleep 0.05", waits=True)
    assert (shown.completed, shown.flags) == (True, ())
    assert onsets == [shown.onset_s]
    assert shown.onset_s <= shown.stop_s


def test_a_program_that_never_says_onset_is_not_completed():
    shown, onsets, _ = show("echo onsets", waits=True)
    assert (shown.completed, onsets) == (False, [])
    assert shown.flags == ("the program never printed 'onset'",)
    assert math.isnan(shown.stop_s)


def test_it_is_ended_after_its_duration():
    shown, _, _ = show("sleep 60", duration_s=0.1)
    assert shown.completed
    assert 0.1 <= shown.stop_s - shown.onset_s < 59


def test_a_failure_is_told():
    shown, _, _ = show("exit 3")
    assert not shown.completed
    assert shown.flags[0] == "the program ended with status 3"


def test_an_interruption_ends_even_one_that_would_not():
    interrupted = threading.Event()
    program = Program([SHELL, "-c", "trap '' TERM; sleep 60 & wait; wait"], time.monotonic)
    shown = program.present("", None, interrupted, lambda _: interrupted.set())
    assert (shown.completed, shown.flags[0]) == (False, "interrupted")
    assert shown.stop_s - shown.onset_s < 59


def test_what_a_protocol_names_reaches_the_program_as_it_is(tmp_path: Path):
    item = "a b; echo $(id) '\"{duration_s}.mp4"
    out = tmp_path / "said"
    shown, _, _ = show(
        'printf "%s|%s" "$1" "$2" > "$0"',
        str(out),
        "{item}",
        "for {duration_s} s",
        item=item,
        duration_s=20.5,
    )
    assert shown.completed
    assert out.read_text() == f"{item}|for 20.5 s"


def test_what_cannot_be_started_is_told_in_words(tmp_path: Path):
    program = Program([str(tmp_path / "none"), "{item}"], time.monotonic)
    shown = program.present("x", None, threading.Event(), pytest.fail)
    assert (shown.completed, shown.flags) == (
        False,
        ("the program cannot be started: No such file or directory",),
    )
    with pytest.raises(ConfigurationError, match="got nothing"):
        Program([], time.monotonic)


def test_the_check_names_what_is_missing(tmp_path: Path):
    items = [("calm", None), ("happy", 20.0), ("calm", None)]
    assert Program([SHELL, "{item}"], time.monotonic).check(items) == []
    assert Program([SHELL, "{duration_s}"], time.monotonic).check(items) == [
        "calm: no duration, which the command asks for"
    ]
    [problem] = Program([str(tmp_path / "none")], time.monotonic).check(items)
    assert problem.startswith("program: command: ")
    assert json.dumps(problem)  # a line of plain text


def test_a_program_in_the_protocols_folder_is_found(tmp_path: Path):
    script = tmp_path / "show"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    program = Program(["./show", "{item}"], time.monotonic, folder=tmp_path)
    assert program.check([]) == []
    assert program.present("x", None, threading.Event(), lambda _: None).completed
