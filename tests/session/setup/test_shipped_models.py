"""The shipped models: weights are those that were measured, and their checks spare the simulator."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from bci_m2s.files.tensor_file import read_tensors
from bci_m2s.model.contract import WindowContract
from bci_m2s.model.model_file import read_contract
from bci_m2s.pipeline.steps import StepStage
from bci_m2s.signal.quality import STATES
from bci_m2s.simulator import SimulatedSession, SimulatorSettings
from bci_m2s.training.training_file import load_training
from bci_m2s.types import Chunk

ROOT = Path(__file__).resolve().parents[3]
# name: checksum of its tensors, training file, montage, rate
SHIPPED = {
    "demo-62ch-eye": ("bc3066ca5a33b39e46e39381bdcb087b", "demo", "seed-62", 250.0),
    "muse-4ch": ("b69b3d26f4281fd2eaa61de2389059f0", "muse", "muse", 256.0),
}


def tensors_checksum(path):
    """Of names, number types and bytes of all tensors; the contract in the header has no part in it."""
    digest = hashlib.blake2b(digest_size=16)
    for name, array in sorted(read_tensors(path)[1].items()):
        digest.update(name.encode() + str(array.dtype).encode() + array.tobytes())
    return digest.hexdigest()


def states_of(name, change=None):
    """Each channel's state in every hop of 40 s of simulated EEG; `change` makes the samples worse."""
    _, _, montage, rate_hz = SHIPPED[name]
    spec = read_contract(ROOT / "models" / f"{name}.safetensors").modalities["eeg"]
    session = SimulatedSession(SimulatorSettings(montage=montage, eeg_rate_hz=rate_hz), subject=7)
    samples = session.eeg(0, int(40 * rate_hz)).copy()
    if change is not None:
        change(samples)
    stage = StepStage(spec, WindowContract(), session.eeg_info)
    states = []
    for start in range(0, len(samples), 50):
        times = np.arange(start, min(start + 50, len(samples))) / rate_hz
        for _ in stage.push(Chunk.of(times, samples[start : start + 50])):
            states.append([STATES[state] for state in stage.quality.states])
    labels = session.eeg_info.labels
    return np.array(states), [spec.channels.index(label) for label in labels]


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_are_those_that_were_measured(name):
    assert tensors_checksum(ROOT / "models" / f"{name}.safetensors") == SHIPPED[name][0]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_training_file_states_the_same_checks(name):
    shipped = read_contract(ROOT / "models" / f"{name}.safetensors")
    contract = load_training(ROOT / "pipelines" / "train" / f"{SHIPPED[name][1]}.yaml").contract
    assert shipped.modalities["eeg"].quality.noisy_ratio > 0
    for modality, spec in shipped.modalities.items():
        assert spec.quality == contract.modalities[modality].quality


@pytest.mark.parametrize("name", SHIPPED)
def test_simulated_eeg_is_good(name):
    assert set(states_of(name)[0].ravel()) == {"good"}


@pytest.mark.parametrize("name", SHIPPED)
def test_clipping_and_tenfold_noise_are_found(name):
    def hurt(samples):
        spread = samples.std(axis=0)
        noise = np.random.default_rng(0).normal(size=len(samples))
        samples[:, 0] += 10 * spread[0] * noise
        middle = samples[:, 2].mean()
        samples[:, 2] = samples[:, 2].clip(middle - 0.2 * spread[2], middle + 0.2 * spread[2])

    states, places = states_of(name, hurt)
    assert set(states[:, places[0]]) == {"noisy"}
    clipped = states[:, places[2]]  # flat where it stays beyond the limit for a whole hop
    assert (clipped == "railed").mean() > 0.2
    assert np.isin(clipped, ("railed", "flat")).mean() > 0.7
    others = np.delete(states, [places[0], places[2]], axis=1)
    assert set(others.ravel()) == {"good"}
