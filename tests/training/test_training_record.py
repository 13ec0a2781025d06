"""The training record names people and recordings, by part."""

from types import SimpleNamespace

from bci_m2s.files.checksum import file_sha256
from bci_m2s.training.data.splits import Split
from bci_m2s.training.training_record import people_of

TRAIN = frozenset({"a/1/1", "a/1/2", "b/2/1"})
SPLIT = Split("all", TRAIN, frozenset({"c/1/1"}), frozenset({"d/1/1"}), by_subject=True)


def settings(**data):
    return SimpleNamespace(data=SimpleNamespace(**data))


def test_people_are_named():
    people = people_of(settings(format="eegmat", root=None), SPLIT)
    assert people == {"subjects": {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}}


def test_simulated_people_are_nobody():
    assert people_of(settings(format="simulated", root=None), SPLIT) == {}


def test_own_recordings_have_checksums(tmp_path):
    for name in ("sub-a_ses-1_run-1.xdf", "sub-a_ses-1_run-2.xdf", "sub-b_ses-2.xdf", "sub-d_ses-1.xdf"):
        (tmp_path / name).write_bytes(name.encode())
    people = people_of(settings(format="recordings", root=tmp_path), SPLIT)
    expected = [file_sha256(path) for path in sorted(tmp_path.glob("sub-[ab]*"))]
    assert people["recordings"]["train"] == expected
    assert people["recordings"]["validation"] == []
    assert people["recordings"]["test"] == [file_sha256(tmp_path / "sub-d_ses-1.xdf")]
