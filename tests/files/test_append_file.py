"""A file that only grows: whole records in order, whatever the disk does."""

import json
import os
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from bci_m2s.errors import OutputError
from bci_m2s.files import append_file
from bci_m2s.files.append_file import AppendFile

RECORDS = [bytes([number]) * 1800 for number in range(10)]
# The limit on a file's size stands for a full disk: writing stops in the middle of a record. It holds for a
# whole process, so this runs in one of its own.
FULL = """
import json, resource, sys, time
from pathlib import Path
from bci_m2s.files.append_file import AppendFile
path, raised = Path(sys.argv[1]), sys.argv[2] == "raised"
file = AppendFile(path)
records = [bytes([number]) * 1800 for number in range(10)]
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
for record in records:
    file.append(record)
reported = {"done": file.flush(), "problem": file.problem}
reported |= {"waiting": file.waiting_bytes, "size": file.written_bytes}
if raised:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    reported["at once"] = file.flush()
    until = time.monotonic() + 120
    while not file.flush() and time.monotonic() < until:
        time.sleep(0.05)
    reported["problem later"] = file.problem
reported["lost"] = file.close()
reported["problem closed"] = file.problem
print(json.dumps(reported))
"""


def run_full(path, limit):
    out = subprocess.run(
        [sys.executable, "-c", FULL, str(path), limit], capture_output=True, text=True, timeout=240
    )
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


def test_records_stand_in_order_where_it_was_said(tmp_path):
    path = tmp_path / "a"
    file = AppendFile(path)
    places = [file.append(record) for record in (b"one", b"", b"three")]
    assert places == [0, 3, 3]
    assert (file.waiting_bytes, path.read_bytes()) == (8, b"")
    assert file.flush()
    assert path.read_bytes() == b"onethree"
    assert file.append(b"four") == 8
    assert file.flush()
    file.fsync()
    assert (file.written_bytes, file.whole_bytes, file.waiting_bytes, file.problem) == (12, 12, 0, "")
    file.append(b"five")
    assert file.close() == 0 == file.close()
    assert path.read_bytes() == b"onethreefourfive"
    file.fsync()  # another thread may still ask
    assert file.problem == ""


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"a: cannot be created: File exists"):
        AppendFile(path)
    with pytest.raises(OutputError, match=r"none.b: cannot be created: No such file"):
        AppendFile(tmp_path / "none" / "b")
    assert path.read_text() == "mine"


def test_a_full_disk_that_has_room_again_loses_nothing(tmp_path):
    reported = run_full(tmp_path / "a", "raised")
    assert (reported["done"], reported["size"], reported["waiting"]) == (False, 10_000, 8_000)
    assert reported["problem"].endswith("a: cannot be written: File too large")
    assert reported["at once"] is False  # not tried more than once a second
    assert (reported["problem later"], reported["lost"], reported["problem closed"]) == ("", 0, "")
    assert (tmp_path / "a").read_bytes() == b"".join(RECORDS)


def test_a_disk_that_stays_full_leaves_whole_records(tmp_path):
    reported = run_full(tmp_path / "a", "stays")
    assert reported["lost"] == 5
    assert "File too large" in reported["problem closed"]
    assert (tmp_path / "a").read_bytes() == b"".join(RECORDS[:5])


def test_too_much_waiting_is_dropped_and_counted(tmp_path):
    file = AppendFile(tmp_path / "a", most_waiting_bytes=10)
    assert file.append(b"12345678") == 0
    assert file.append(b"90a") == -1
    assert file.append(b"xy") == 8
    assert file.append(b"header", essential=True) == 10
    assert file.lost_records == 1
    assert file.flush()
    assert file.append(b"again") == 16
    assert file.close() == 1
    assert (tmp_path / "a").read_bytes() == b"12345678xyheaderagain"


def test_a_broken_descriptor_is_a_problem_and_no_exception(tmp_path):
    broken = [True]

    def sync(_descriptor):
        if broken:
            raise OSError(5, os.strerror(5))

    file = AppendFile(tmp_path / "a", sync=sync)
    file.append(b"one")
    assert file.flush()  # written, yet not safe
    file.fsync()
    assert file.problem.endswith("a: not safe on the disk: Input/output error")
    broken.clear()
    file.fsync()
    assert file.problem == ""
    file.close()


def test_a_retry_comes_after_a_second(tmp_path):
    path = tmp_path / "a"
    file = AppendFile(path)
    read_only = os.open(path, os.O_RDONLY)
    saved = os.dup(file._file.fileno())
    os.dup2(read_only, file._file.fileno())  # a descriptor that refuses to write
    file.append(b"one")
    begun = time.monotonic()
    assert not file.flush()
    assert file.problem.endswith("Bad file descriptor")
    os.dup2(saved, file._file.fileno())
    while not file.flush():
        assert time.monotonic() - begun < 120
        time.sleep(0.02)
    assert time.monotonic() - begun >= 1.0
    assert file.problem == ""
    os.close(read_only)
    os.close(saved)
    file.close()
    assert path.read_bytes() == b"one"


def test_a_sync_that_finds_its_file_closed_is_no_problem(tmp_path):
    def closed_meanwhile(descriptor):
        file._file.close()
        os.fsync(descriptor)

    file = AppendFile(tmp_path / "a", sync=closed_meanwhile)
    file.fsync()
    assert file.problem == ""


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
@pytest.mark.parametrize("harm", ["deleted", "moved", "replaced", "folder deleted"])
def test_a_file_that_is_gone_is_noticed_within_two_seconds(tmp_path, monkeypatch, harm):
    now = [50.0]
    monkeypatch.setattr(append_file, "time", SimpleNamespace(monotonic=lambda: now[0]))
    path = tmp_path / "out" / "a"
    path.parent.mkdir()
    file = AppendFile(path)
    file.append(b"before")
    assert file.flush()
    assert file.problem == ""
    if harm == "folder deleted":
        shutil.rmtree(path.parent)
    elif harm == "moved":
        path.rename(tmp_path / "elsewhere")
    else:
        path.unlink()
        if harm == "replaced":
            path.write_bytes(b"of another program")
    while not file.problem and now[0] < 52.0:
        now[0] += 0.05
        file.append(b"after")
        file.flush()
    assert "deleted, moved or replaced" in file.problem
    assert str(path) in file.problem
    file.close()
    assert file.problem


def test_a_file_that_is_gone_at_the_end_is_noticed(tmp_path):
    file = AppendFile(tmp_path / "a")
    file.append(b"x")
    (tmp_path / "a").unlink()
    file.close()
    assert "deleted, moved or replaced" in file.problem
