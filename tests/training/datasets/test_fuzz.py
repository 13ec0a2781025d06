"""Damaged and hostile files: every reader of a foreign format gives data or an error of ours."""

import sys
from pathlib import Path

import numpy as np
import pytest
from support.dataset_files import save_mat
from support.model_files import contract_fields
from support.raw_files import (
    deap_pickle,
    deap_values,
    dreamer_person,
    raw_clips,
    write_dreamer,
    write_eegmat,
    xdf,
)

from bci_m2s.errors import RecordingError
from bci_m2s.model.model_file import Contract
from bci_m2s.training.datasets import DATASETS, deap
from bci_m2s.training.datasets.recordings import MarkerSettings, read_recordings

MUTATIONS = 200
MEMORY_BYTES = 2 << 30  # more than this process may take on top of what it has


@pytest.fixture(autouse=True)
def little_memory():
    """A file that only claims to be large must fail within these limits, not take the machine's memory."""
    if sys.platform != "linux":
        yield  # the other systems have no such limit
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def mutated(content, rng):
    """A copy with a few bytes changed, a piece cut out, doubled or swapped, or the end cut off."""
    data = bytearray(content)
    kind = rng.integers(6)
    # headers matter most, so half of the damage is done within the first kilobytes
    reach = len(data) if rng.random() < 0.5 else min(len(data), 4096)
    at = int(rng.integers(reach))
    if kind <= 1:
        for place in rng.integers(reach, size=rng.integers(1, 9)):
            data[place] = rng.integers(256)
    elif kind == 2:
        data[at : at + 8] = rng.choice([b"\xff" * 8, bytes(8), b"99999999", b"\xff\xff\xff\x7f" * 2])
    elif kind == 3:
        del data[at : at + int(rng.integers(1, 64))]
    elif kind == 4:
        data[at:at] = data[at : at + int(rng.integers(1, 64))]
    else:
        del data[at:]
    return bytes(data)


def attack(path, read, mutations=MUTATIONS, seed=0):
    """Read mutated copies of a file in its place; count those that were left out or refused."""
    content = path.read_bytes()
    rng = np.random.default_rng(seed)
    refused = 0
    for _ in range(mutations):
        path.write_bytes(mutated(content, rng))
        problems = []
        try:
            for segments in read(problems.append):
                for segment in segments:
                    for stream in segment.streams.values():
                        for chunk in stream.chunks():
                            assert len(chunk.times) == len(chunk.samples)
                            assert chunk.samples.shape[1] == stream.info.n_channels
        except RecordingError:
            problems.append(None)
        refused += any(problem is None or problem.left_out for problem in problems)
    assert 0 < refused <= mutations
    path.write_bytes(content)
    problems = []
    assert list(read(problems.append))  # the undamaged file is what was attacked
    assert not any(problem.left_out for problem in problems)


def reader(root, name):
    return lambda on_problem: DATASETS[name].read_raw(root, on_problem)


def test_eegmat(tmp_path):
    write_eegmat(tmp_path)
    attack(tmp_path / "Subject00_1.edf", reader(tmp_path, "eegmat"))


def test_deap(tmp_path, monkeypatch):
    monkeypatch.setattr(deap, "N_TRIALS", 2)
    monkeypatch.setattr(deap, "N_SAMPLES", 20)
    path = tmp_path / "s01.dat"
    path.write_bytes(deap_pickle(*deap_values()))
    attack(path, reader(tmp_path, "deap"), 2 * MUTATIONS)


def small_dreamer():
    person = dreamer_person()
    for modality in ("EEG", "ECG"):
        for part in ("baseline", "stimuli"):
            for trial in range(18):
                person[modality][part][trial, 0] = person[modality][part][trial, 0][:3]
    return person


def test_dreamer(tmp_path):
    path = write_dreamer(tmp_path, [small_dreamer()])
    attack(path, reader(tmp_path, "dreamer"))


@pytest.mark.parametrize("compressed", [False, True])
def test_raw_seed(tmp_path, compressed):
    path = tmp_path / "eeg_raw_data" / "1" / "1_20150508.mat"
    clips = {name: values[:, :5] for name, values in raw_clips("ab", 24).items()}
    save_mat(path, clips, do_compression=compressed)
    attack(path, reader(tmp_path, "seed-iv"))


def test_recordings(tmp_path):
    n = 256
    stamps = 100 + np.arange(n) / 256
    eeg = ("cap", "EEG", 256, ("TP9", "AF7", "AF8", "TP10"), ["uV"] * 4, stamps, np.ones((n, 4)))
    path = tmp_path / "1.xdf"
    path.write_bytes(xdf([eeg], [(100.2, "trial/start/neutral"), (100.8, "trial/stop/neutral")]))
    contract = Contract.model_validate(contract_fields())
    attack(path, lambda say: read_recordings(tmp_path, contract, MarkerSettings(), say), 2 * MUTATIONS)
    attack(path, reader(tmp_path, "recordings"), MUTATIONS, seed=1)
