"""``verify``, ``show`` and ``report`` of a folder with several people's sessions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import bci, refused
from support.recorded_sessions import chunks_of, record_session
from support.small_sessions import eeg

from bci_m2s.recording.file_names import people_in

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Folder of one recorded session."""
    return record_session(tmp_path_factory.mktemp("one") / "s", {"eeg": chunks_of(*eeg(12.0))}).parent


@pytest.fixture
def folder(tmp_path, recorded):
    """Two people, one with a second take, and a folder of something else."""
    out = tmp_path / "class"
    for name in ("p01", "p02", "p02/take-2"):
        shutil.copytree(recorded, out / name, dirs_exist_ok=True)
    (out / "notes").mkdir()
    return out


def rows(done, first):
    """Rows of the table whose heading begins with `first`."""
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    begin = next(n for n, line in enumerate(lines) if line.split() and line.split()[0] == first)
    return [line.split(maxsplit=3) for line in lines[begin + 1 :]]


def test_people_are_those_of_a_folder_that_is_no_sessions_own(folder):
    found = people_in(folder)
    assert {
        name: [path.relative_to(folder).as_posix() for path in takes] for name, takes in found.items()
    } == {
        "p01": ["p01/session.xdf"],
        "p02": ["p02/session.xdf", "p02/take-2/session.xdf"],
    }
    assert people_in(folder / "p02") == {}
    assert people_in(folder / "notes") == {}
    assert people_in(folder / "p01" / "session.xdf") == {}


def test_verify_has_a_row_for_each_recording_and_fails_where_one_does(folder):
    done = bci("verify", folder)
    assert done.returncode == 0, done.stdout
    assert [(row[0], row[3]) for row in rows(done, "participant")] == [
        (name, "verified, bit for bit") for name in ("p01", "p02", "p02/take-2")
    ]
    (folder / "p01" / "session.xdf").write_bytes(b"no recording at all")
    done = bci("verify", folder)
    assert done.returncode == 1
    assert "not an XDF file" in done.stdout
    assert done.stdout.count("verified, bit for bit") == 2


def test_nobody_whose_recording_is_gone_is_passed_over(folder):
    (folder / "p02" / "session.xdf").unlink()
    (folder / "p02" / "take-2" / "session.xdf").unlink()
    for command in ("verify", "show"):
        done = bci(command, folder)
        assert done.returncode == (1 if command == "verify" else 0)
        named = [row[0] for row in rows(done, "participant")]
        assert named[:3] == ["p01", "p02", "p02/take-2"], done.stdout
        assert done.stdout.count("cannot be read" if command == "show" else "no such file") == 2, (
            done.stdout
        )


RECORD_STRICT = """
import sys
from pathlib import Path
from bci_m2s.model.arithmetic import ask_for_strict
ask_for_strict()
from support import recorded_sessions
from support.small_sessions import eeg
recorded_sessions.record_session(Path(sys.argv[1]), {"eeg": recorded_sessions.chunks_of(*eeg(12.0))})
"""


def test_recordings_of_different_arithmetic_are_each_verified_in_their_own(tmp_path, recorded):
    shutil.copytree(recorded, tmp_path / "a")  # products as usual come first: strict ones cannot follow
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-c", RECORD_STRICT, str(tmp_path / "b")]
    subprocess.run(command, check=True, env=environment, timeout=240)
    done = bci("verify", tmp_path)
    assert [(row[0], row[3]) for row in rows(done, "participant")] == [
        (name, "verified, bit for bit") for name in ("a", "b")
    ]
    assert done.returncode == 0


def test_show_has_a_row_for_each_recording_and_draws_none(folder):
    (folder / "p01" / "session.xdf").write_bytes(b"no recording at all")
    done = bci("show", folder)
    assert done.returncode == 0
    found = rows(done, "participant")
    assert [row[0] for row in found][:3] == ["p01", "p02", "p02/take-2"]
    assert "cannot be read" in done.stdout
    assert "12.0 s" in done.stdout
    assert "--picture: is of one recording" in refused("show", folder, "--picture", folder / "x.png")


def cut(recording):
    """Cut a recording in the middle of its last chunk."""
    recording.write_bytes(recording.read_bytes()[:-60])


@pytest.mark.parametrize("command", ["show", "verify", "report"])
def test_whose_recording_is_damaged_is_said_with_what_helps(folder, command):
    cut(folder / "p02" / "session.xdf")
    (folder / "p01" / "session.xdf").write_bytes(b"XDF: and nothing else of it")
    done = bci(command, folder)
    said = " ".join(done.stdout.split())
    assert "DAMAGED or incomplete, at 1 place: all figures are of what can be read" in said
    for name in ("p01", "p02"):
        helps = f"bci-m2s recover {folder / name / 'session.xdf'} writes a copy of everything that is whole"
        assert said.count(helps) == 1, done.stdout
    assert "p01: cannot be read" in said or command == "verify"
    assert "take-2/session.xdf" not in said.replace("and so on", "")
    if command == "report":
        assert "DAMAGED or incomplete, at 1 place" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["show", "verify"])
def test_one_damaged_recording_says_so_in_a_line_and_is_recovered_by_its_folder(folder, command):
    cut(folder / "p02" / "session.xdf")
    helps = f"bci-m2s recover {folder / 'p02' / 'session.xdf'} writes a copy of everything that is whole"
    lines = [line for line in bci(command, folder / "p02").stdout.splitlines() if "DAMAGED" in line]
    assert len(lines) == 1
    assert helps in lines[0]
    assert "DAMAGED" not in bci(command, folder / "p01").stdout
    assert bci("recover", folder / "p02").returncode == 0
    assert (folder / "p02" / "session-recovered.xdf").is_file()


def test_a_session_that_is_lost_with_the_rest_of_a_recording_is_said_to_be(folder):
    recording = folder / "p01" / "session.xdf"
    recording.write_bytes(recording.read_bytes()[: recording.stat().st_size // 2])
    words = refused("verify", folder / "p01")
    assert "session description: got none" in words
    assert (
        "DAMAGED or incomplete, at 1 place: all figures are of what can be read; "
        f"bci-m2s recover {recording} "
    ) in words


def test_report_writes_one_for_each_and_one_that_names_them(folder):
    done = bci("report", folder)
    assert done.returncode == 0, done.stderr
    text = (folder / "report.html").read_text(encoding="utf-8")
    for words in ("p02/take-2", "p01/report.html", "p02/report.html", "2 participants in"):
        assert words in text
    assert (folder / "p01" / "report.html").is_file()
    bci("report", folder)
    assert (folder / "report-2.html").is_file()
