"""What a session that is taken up again finds in its folder."""

import pytest
from rich.console import Console
from support.guided_sessions import write_protocol

from bci_m2s.commands.session import RUNNING, _taken_up, again_words
from bci_m2s.errors import ConfigurationError, UsageError
from bci_m2s.files.one_process import held
from bci_m2s.session.protocol.planned import draw_order, store
from bci_m2s.session.protocol.settings import load_protocol


def begun(folder):
    path = write_protocol(folder)
    store(draw_order(load_protocol(path)), folder, path)


@pytest.mark.parametrize(
    ("left", "words"), [(None, "no such file"), (b"", "is empty"), (b"XDF", "not an XDF file")]
)
def test_a_recording_that_a_crash_left_unreadable_is_named_and_the_session_goes_on(
    tmp_path, capsys, left, words
):
    begun(tmp_path)
    if left is not None:
        (tmp_path / "session.xdf").write_bytes(left)
    _, trials, folder, _ = _taken_up(tmp_path, Console())
    assert (trials, folder) == ([], tmp_path / "take-2")
    said = capsys.readouterr().out
    assert words in said
    assert "are shown again" in said


def test_a_folder_that_is_no_session_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"got no protocol\.yaml"):
        _taken_up(tmp_path, Console())


def test_a_session_that_runs_is_not_taken_up_beside_itself(tmp_path):
    begun(tmp_path)
    running = pytest.raises(UsageError, match="this session is running, in another process")
    with held(tmp_path, RUNNING), running:
        _taken_up(tmp_path, Console())
    _taken_up(tmp_path, Console())


def test_the_command_that_goes_on_has_every_option_again(tmp_path):
    given = {"--fast": True, "--headless": False, "--model": "me.safetensors", "--device": None}
    assert again_words("films.yaml", tmp_path / "P 1", given) == (
        f"bci-m2s session films.yaml --output '{tmp_path}/P 1' --fast --model me.safetensors --resume"
    )
