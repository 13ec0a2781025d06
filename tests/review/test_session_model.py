"""The model of a recorded session is found by the path that the recording has, and its checksum."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.model_files import small_tensors
from support.small_sessions import contract

from bci_m2s.errors import UsageError
from bci_m2s.files.checksum import file_sha256
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.model.model_file import save_model
from bci_m2s.review.session_model import find_session_model

WRITTEN = "runs/mine/fold-2/seed-0/model.safetensors"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A project with a model deep in it and a session beside; the current folder is elsewhere."""
    for number, place in enumerate((WRITTEN, "runs/mine/fold-1/seed-0/model.safetensors")):
        (tmp_path / place).parent.mkdir(parents=True)
        save_model(tmp_path / place, contract(), small_tensors(contract(), seed=number))
    (tmp_path / "sessions" / "one").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def session(lab, path="", pipeline=WRITTEN):
    model = {"name": "m", "file": "model.safetensors", "path": path, "sha256": file_sha256(lab / WRITTEN)}
    return SessionDescription.model_validate({"model": model, "pipeline": {"file": "p", "model": pipeline}})


def recording(lab):
    return lab / "sessions" / "one" / "session.xdf"


def same(found, wanted):
    return found.resolve() == wanted.resolve()


def test_it_is_found_from_the_recording_upwards_and_from_here(lab, monkeypatch):
    assert same(find_session_model(recording(lab), session(lab)), lab / WRITTEN)
    assert same(find_session_model(recording(lab), session(lab, path=WRITTEN, pipeline="x")), lab / WRITTEN)
    monkeypatch.chdir(lab)
    assert same(find_session_model(Path("sessions/one/session.xdf"), session(lab)), lab / WRITTEN)
    assert same(find_session_model(Path("/tmp/gone.xdf"), session(lab)), lab / WRITTEN)


def test_an_absolute_path_and_one_beside_the_recording_will_do(lab):
    assert same(find_session_model(recording(lab), session(lab, path=str(lab / WRITTEN))), lab / WRITTEN)
    beside = recording(lab).with_name("model.safetensors")
    shutil.move(lab / WRITTEN, beside)
    moved = session_of(beside)
    assert same(find_session_model(recording(lab), moved), beside)


def session_of(file):
    model = {"file": file.name, "path": WRITTEN, "sha256": file_sha256(file)}
    return SessionDescription.model_validate({"model": model})


def test_another_model_of_that_name_is_called_so(lab):
    wanted = session(lab)
    shutil.copy(lab / "runs/mine/fold-1/seed-0/model.safetensors", lab / WRITTEN)
    with pytest.raises(UsageError, match=r"is not the one of this session, although .* with --model PATH"):
        find_session_model(recording(lab), wanted)


def test_without_any_the_recorded_path_is_said(lab):
    wanted = session(lab)
    (lab / WRITTEN).unlink()
    with pytest.raises(
        UsageError, match=rf"is not found; it was '{WRITTEN}' .*: give it with --model PATH"
    ):
        find_session_model(recording(lab), wanted)


@pytest.mark.parametrize(
    "path", ["/dev/zero", "../" * 40 + "etc/passwd", "\0", "x" * 4000 + ".safetensors"]
)
def test_no_other_file_is_read_for_what_a_recording_says(lab, path):
    wanted = session(lab, path=path, pipeline="nothing")
    (lab / WRITTEN).unlink()
    with pytest.raises(UsageError, match="is not found"):
        find_session_model(recording(lab), wanted)
