"""Another reference is told from how channels go together, from the first window on."""

import itertools

import numpy as np
import pytest
from support.model_files import small_tensors
from support.small_sessions import EEG_INFO, contract, eeg, pipeline

from bci_m2s.errors import ContractError, ModelError
from bci_m2s.model.contract import DriftContract
from bci_m2s.model.model_file import load_model_file, save_model
from bci_m2s.training.drift.pairs import pairs_of
from bci_m2s.types import Chunk, Status

PLAIN = contract()
PAIRS = pairs_of(PLAIN.modalities["eeg"])
K = len(PAIRS) + 5
SPEC = contract(
    drift={
        "views": {"coupling": {"whole": 4.0, "channel": 16.0}},
        "smoothing_s": 1.0,
        "share": 0.02,
        "pairs": len(PAIRS),
    }
)
# four channels of independent noise: r is 0, with the mean ½, and the mean has a quarter of the power
USUAL = np.r_[np.zeros(len(PAIRS)), np.full(4, np.arctanh(0.5)), 0.5 * np.log(0.25)]
PARTS = {"mean": USUAL, "scale": np.full(K, 0.3), "usual": np.ones(K)}
TENSORS = small_tensors(PLAIN) | {f"eeg.drift.coupling.{name}": array for name, array in PARTS.items()}
TENSORS["eeg.drift.coupling.precision"] = np.eye(K, dtype=np.float32)
TENSORS["eeg.drift.pairs"] = PAIRS.astype(np.int64)
TIMES, SAMPLES = eeg(16)


def run(samples, cuts=(), spec=SPEC, **options):
    made = pipeline(spec=spec, tensors=TENSORS if spec is SPEC else small_tensors(PLAIN), **options)
    found = []
    for a, b in itertools.pairwise([0, *sorted(cuts), len(TIMES)]):
        found += made.push("eeg", Chunk.of(TIMES[a:b], samples[a:b], received_s=5.0))
    return found


def average(samples):
    """Against the mean of the model's channels; the stream has others beside them."""
    ours = [EEG_INFO.labels.index(label) for label in PLAIN.modalities["eeg"].channels]
    return samples - samples[:, ours].mean(axis=1, keepdims=True)


def test_an_average_reference_is_refused_from_the_first_estimate_on_and_chunks_change_nothing():
    found = run(average(SAMPLES))
    assert Status.OK not in [one.status for one in found]
    drifting = [one for one in found if one.status is Status.DRIFT]
    assert drifting[0].reason.startswith("unknown: drift (")
    assert "all channels together alpha" in drifting[0].reason
    cuts = np.random.default_rng(0).integers(0, len(TIMES), 40).tolist()
    parts = run(average(SAMPLES), cuts)
    assert [(one.status, one.reason, repr(one.drift)) for one in parts] == [
        (one.status, one.reason, repr(one.drift)) for one in found
    ]


def test_what_it_was_trained_on_is_answered_with_the_same_bits():
    plain, found = run(SAMPLES, spec=PLAIN), run(SAMPLES)
    assert [one.status for one in found].count(Status.OK) > 10
    for before, now in zip(plain, found, strict=True):
        assert now.status is before.status
        assert now.trace == before.trace
        assert now.probabilities.tobytes() == before.probabilities.tobytes()


def test_a_model_that_makes_the_average_itself_cannot_tell_and_need_not():
    spec = contract(drift=SPEC.modalities["eeg"].drift.model_dump(), reference="average")
    made = [
        pipeline(spec=spec, tensors=TENSORS).push("eeg", Chunk.of(TIMES, samples, received_s=5.0))
        for samples in (SAMPLES, SAMPLES - SAMPLES[:, :1] / 2)
    ]
    for one, other in zip(*made, strict=True):
        assert one.status is other.status
        np.testing.assert_allclose(one.drift, other.drift, rtol=1e-5)


def test_a_model_file_holds_the_pairs_and_only_pairs_that_there_are(tmp_path):
    save_model(tmp_path / "with.safetensors", SPEC, TENSORS)
    _, read = load_model_file(tmp_path / "with.safetensors")
    np.testing.assert_array_equal(read["eeg.drift.pairs"], PAIRS)
    wrong = TENSORS["eeg.drift.pairs"].copy()
    wrong[0, 0] = 4
    with pytest.raises(ModelError, match=r"'eeg\.drift\.pairs': got others, expected pairs of two of 4"):
        save_model(tmp_path / "wrong.safetensors", SPEC, TENSORS | {"eeg.drift.pairs": wrong})
    without = {name: array for name, array in TENSORS.items() if not name.endswith("pairs")}
    with pytest.raises(ModelError, match=r"tensor 'eeg\.drift\.pairs' is missing"):
        save_model(tmp_path / "less.safetensors", SPEC, without)


def test_pairs_belong_to_the_view():
    about = SPEC.modalities["eeg"].drift.model_dump() | {"pairs": 0}
    with pytest.raises((ContractError, ValueError), match="pairs with the view coupling"):
        DriftContract.model_validate(about)
