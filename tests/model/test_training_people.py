"""A person who trained the model is named beside what it gets right about them."""

import pytest
from support.model_files import contract_fields

from bci_m2s.files.checksum import file_sha256
from bci_m2s.model.contract import Contract
from bci_m2s.model.training_people import training_remark


def contract(**training):
    return Contract.model_validate(contract_fields() | {"training": training})


def recording(folder, name="sub-P1_ses-1_eeg.xdf", content=b"XDF:"):
    path = folder / name
    path.write_bytes(content)
    return path


def test_the_same_recording_is_known_whatever_its_name(tmp_path):
    sums = {"train": [file_sha256(recording(tmp_path))], "test": []}
    renamed = recording(tmp_path, "session.xdf")
    remark = training_remark(contract(recordings=sums), renamed)
    assert remark.startswith("the model was trained on this recording: agreement")
    other = recording(tmp_path, "other.xdf", b"XDF:other")
    assert training_remark(contract(recordings=sums), other) == ""


def test_another_recording_of_the_same_person_is_doubted(tmp_path):
    trained = contract(subjects={"train": ["P1"], "test": ["P2"]})
    assert "trained on a person 'P1'" in training_remark(trained, recording(tmp_path))
    assert training_remark(trained, recording(tmp_path, "sub-P2_eeg.xdf")) == ""
    in_folder = tmp_path / "sub-P1" / "eeg"
    in_folder.mkdir(parents=True)
    assert "'P1'" in training_remark(trained, recording(in_folder, "session.xdf"))


def test_a_name_that_is_no_persons_says_nothing(tmp_path):
    trained = contract(subjects={"train": ["session"]})
    assert training_remark(trained, recording(tmp_path, "session.xdf")) == ""


@pytest.mark.parametrize("record", [{}, {"subjects": 3, "recordings": ["x"]}, {"subjects": {"train": 1}}])
def test_a_record_from_anyone_does_no_harm(tmp_path, record):
    assert training_remark(contract(**record), recording(tmp_path)) == ""
