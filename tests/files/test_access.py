"""Who may read what is written, whatever the umask."""

import os

import pytest

from bci_m2s.files.access import make_private_folder, open_private
from bci_m2s.files.append_file import AppendFile
from bci_m2s.files.whole import write_whole

pytestmark = pytest.mark.skipif(os.name != "posix", reason="rights of another kind")


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return path.stat().st_mode & 0o7777


def write_all(folder):
    """A file of each kind, with what it writes closed."""
    grown, whole, opened = (folder / name for name in ("grown", "whole", "opened"))
    AppendFile(grown).close()
    write_whole(whole, "text", private=True)
    with open(opened, "w", opener=open_private):
        pass
    return grown, whole, opened


@pytest.mark.usefixtures("umask")
def test_files_and_folders_are_their_owners(tmp_path):
    folder = tmp_path / "study" / "p01"
    make_private_folder(folder)
    assert [mode(path) for path in (folder, folder.parent)] == [0o700, 0o700]
    assert {mode(path) for path in write_all(folder)} == {0o600}


@pytest.mark.usefixtures("umask")
def test_a_shared_folder_is_the_groups_with_all_that_is_in_it(tmp_path):
    folder, other = tmp_path / "study" / "p01", tmp_path / "other"
    make_private_folder(folder, shared=True)
    make_private_folder(folder / "take-2")
    make_private_folder(other)
    assert [mode(path) for path in (folder.parent, folder, folder / "take-2")] == [0o750] * 3
    assert {mode(path) for path in (*write_all(folder), *write_all(folder / "take-2"))} == {0o640}
    assert {mode(path) for path in (other, *write_all(other))} == {0o700, 0o600}  # it alone was shared


def test_a_relative_folder_is_shared_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path.relative_to(tmp_path) / "p01"
    make_private_folder(folder, shared=True)
    assert {mode(path) for path in write_all(folder)} == {0o640}


def test_what_is_there_keeps_its_rights_and_files_in_it_are_their_owners(tmp_path):
    folder = tmp_path / "made-by-hand"
    folder.mkdir(mode=0o755)
    before = mode(folder)
    make_private_folder(folder)
    assert mode(folder) == before
    assert {mode(path) for path in write_all(folder)} == {0o600}


def test_a_folder_of_a_group_hands_its_group_down(tmp_path):
    tmp_path.chmod(0o2770)
    make_private_folder(tmp_path / "p01", shared=True)
    inherits = 0o2000 if mode(tmp_path) & 0o2000 and os.uname().sysname == "Linux" else 0
    assert mode(tmp_path / "p01") & 0o2777 == 0o750 | inherits


def test_something_else_of_that_name_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        make_private_folder(tmp_path / "file" / "p01")


def test_what_is_to_be_handed_on_has_the_umasks_rights(tmp_path):
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "model", b"x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "model") == 0o644
