"""Sessions in one file that processes map instead of reading it."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.small_pairs import corpus

from bci_m2s.errors import RecordingError
from bci_m2s.training.data.kept import keep_sessions, map_sessions


@pytest.fixture
def sessions():
    """Of two people; the second has what the first lacks, and not a single row."""
    first, second, *_ = corpus(people=2, per_session=2)
    first.values["eye"][3] = np.nan
    none = {name: rows[:0] for name, rows in second.values.items()}
    usable = {name: rows[:0] for name, rows in second.usable.items()}
    more = {"amplitudes": {"eeg": np.array([[[0.1, 1 / 3]]])}, "couplings": {"eeg": none["eeg"][:, :2]}}
    said = {"problems": {"eye": "why"}, "never_used": {"eeg": {"Cz": "flat"}}}
    return [first, replace(second, end_s=second.end_s[:0], values=none, usable=usable, **more, **said)]


def test_what_is_mapped_is_what_was_kept(sessions, tmp_path):
    path = tmp_path / "new" / "sessions.safetensors"
    keep_sessions(path, sessions)
    mapped = map_sessions(path)
    assert len(mapped) == 2
    for one, other in zip(mapped, sessions, strict=True):
        assert (one.subject, one.session, one.trials) == (other.subject, other.session, other.trials)
        assert (one.problems, one.never_used) == (other.problems, other.never_used)
        np.testing.assert_array_equal(one.end_s, other.end_s)
        for part in ("values", "usable", "amplitudes", "couplings"):
            assert list(getattr(one, part)) == list(getattr(other, part))
            for name, rows in getattr(other, part).items():
                found = getattr(one, part)[name]
                assert (found.dtype, found.tobytes()) == (rows.dtype, rows.tobytes())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not list what is mapped")
def test_nothing_is_copied(sessions, tmp_path):
    path = tmp_path / "sessions.safetensors"
    keep_sessions(path, sessions)
    mapped = map_sessions(path)
    ranges = [
        [int(end, 16) for end in line.split()[0].split("-")]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(str(path))
    ]
    for rows in mapped[0].values.values():
        address = rows.__array_interface__["data"][0]
        assert any(start <= address < end for start, end in ranges)


def test_the_same_is_not_written_again_and_other_sessions_are(sessions, tmp_path):
    path = tmp_path / "sessions.safetensors"
    keep_sessions(path, sessions)
    before = path.stat().st_ino
    keep_sessions(path, sessions)
    assert path.stat().st_ino == before
    keep_sessions(path, sessions[:1])
    assert len(map_sessions(path)) == 1


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_damaged_file_is_named(sessions, tmp_path, damage):
    path = tmp_path / "sessions.safetensors"
    keep_sessions(path, sessions)
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(RecordingError, match=r"sessions\.safetensors: cannot be read .*; delete it"):
        map_sessions(path)
