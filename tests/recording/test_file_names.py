"""A folder means the recording of its session; of one that has none it is said what lies below it."""

import pytest

from bci_m2s.errors import RecordingError
from bci_m2s.recording.file_names import recording_in, takes_of


def test_a_folder_of_a_session_means_its_recording(tmp_path):
    file = tmp_path / "session.xdf"
    assert recording_in(file) == file  # what is no folder is judged by who reads it
    file.touch()
    assert recording_in(tmp_path) == recording_in(file) == file


def test_a_folder_without_one_says_what_it_holds(tmp_path):
    with pytest.raises(RecordingError, match=r"is a folder without session\.xdf; no XDF file below it"):
        recording_in(tmp_path)
    for name in ("b.xdf", "take-2/session.xdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(RecordingError, match=r"below it: take-2/session\.xdf, b\.xdf$"):
        recording_in(tmp_path)


def test_the_takes_of_a_session_come_in_their_order_whichever_is_asked_for(tmp_path):
    folders = ("", "take-2", "take-10")
    for folder in (*folders, "take-off"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "session.xdf").touch()
    expected = [tmp_path / folder / "session.xdf" for folder in folders]
    for folder in folders:
        assert takes_of(tmp_path / folder / "session.xdf") == expected
    assert takes_of(tmp_path / "take-off" / "session.xdf") == []  # alone in its folder
    assert takes_of(tmp_path / "other.xdf") == []
