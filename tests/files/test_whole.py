"""A file is there whole or not at all; two writers do not meet under one hidden name."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from bci_m2s.errors import OutputError
from bci_m2s.files.whole import check_target, whole_file, write_whole


def test_text_and_bytes_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "Ärger")
    write_whole(path, b"later")
    assert path.read_bytes() == b"later"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, "old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.writelines([b"half", None])
    with pytest.raises(OutputError, match="a: cannot be written: shorter"), whole_file(path) as file:
        raise OSError("shorter")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_before_the_work_it_is_said_that_a_file_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    check_target(path)
    path.touch()
    check_target(path, overwrite=True)
    with pytest.raises(OutputError, match="exists already and is not overwritten"):
        check_target(path)
    with pytest.raises(OutputError, match="got a folder, expected a file's name"):
        check_target(tmp_path, overwrite=True)
    with pytest.raises(OutputError, match=r"got no folder .*b, expected"):
        check_target(tmp_path / "b" / "a")


def test_what_exists_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(OutputError, match="exists already"), whole_file(path, overwrite=False):
        path.write_text("faster")
    with pytest.raises(OutputError, match="exists already"):
        write_whole(path, "later", overwrite=False)
    assert path.read_text() == "faster"


def test_two_writers_at_once_both_write_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = [bytes([number]) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_whole, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["none/a", "a\0b"])
def test_what_cannot_be_written_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot be written: ") as caught:
        write_whole(tmp_path / name, "x")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_private_file_is_the_users_own_from_the_beginning(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a", private=True) as file:
        assert os.fstat(file.fileno()).st_mode & 0o077 == 0
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
