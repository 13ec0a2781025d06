"""How channels go together: correlations as they are, whatever the blocks; what is missing says nothing."""

import numpy as np
import pytest
from support.small_sessions import contract

from bci_m2s.features.coupling import Coupling, coupling_band, coupling_names
from bci_m2s.features.de import DifferentialEntropy

PAIRS = np.array([[0, 1], [1, 2]])
LABELS = ("F3", "FC3", "Cz", "Pz")
RNG = np.random.default_rng(4)
COMMON = RNG.normal(size=1500)
SAMPLES = 20.0 * (RNG.normal(size=(1500, 4)) + COMMON[:, None])


def steps(samples, missing=None, coupling=None):
    made = DifferentialEntropy({}, LABELS, 250.0, 1.0, 0.25)
    made.coupling = Coupling(PAIRS) if coupling is None else coupling
    lost = np.zeros(samples.shape, dtype=bool) if missing is None else missing
    pieces = range(0, len(samples) - 61, 62)
    return [made.push(samples[at : at + 62].copy(), lost[at : at + 62]) for at in pieces], made


def newest(samples, missing=None):
    return steps(samples, missing)[0][-1].coupling


def test_correlations_of_the_filtered_samples_of_a_step():
    made, extractor = steps(SAMPLES)
    from bci_m2s.features.de import SEED_BANDS_HZ
    from bci_m2s.signal.filters import FilterBank

    n = 62 * len(made)
    alpha = FilterBank(list(SEED_BANDS_HZ.values()), 250.0).apply(SAMPLES[:n].T)[2][:, -248:]
    mean, square = alpha.mean(axis=0), lambda x: (x**2).sum()
    r = [(alpha[a] * alpha[b]).sum() / np.sqrt(square(alpha[a]) * square(alpha[b])) for a, b in PAIRS]
    r += [(one * mean).sum() / np.sqrt(square(one) * square(mean)) for one in alpha]
    share = square(mean) / (alpha**2).sum(axis=1).mean()
    np.testing.assert_allclose(made[-1].coupling, [*np.arctanh(r), 0.5 * np.log(share)])
    assert extractor.coupled == "alpha"
    names = coupling_names(LABELS, PAIRS, "alpha")
    assert len(names) == len(made[-1].coupling)
    assert names[:3] == ("F3 with FC3 alpha", "FC3 with Cz alpha", "F3 with all alpha")


def test_an_average_reference_leaves_nothing_in_common_and_no_rounding():
    found = newest(SAMPLES - SAMPLES.mean(axis=1, keepdims=True))
    assert found[-1] == pytest.approx(0.5 * np.log(1e-4))
    np.testing.assert_allclose(found[2:6], 0.0, atol=1e-6)
    assert newest(SAMPLES)[-1] > -0.5


def test_a_missing_channel_is_unknown_and_leaves_the_others_as_they_are_without_it():
    missing = np.zeros(SAMPLES.shape, dtype=bool)
    missing[-100:, 0] = True
    found = newest(SAMPLES, missing)
    assert np.isnan(found[[0, 2]]).all()
    assert np.isfinite(found[[1, 3, 4, 5, 6]]).all()
    assert found[1] == newest(SAMPLES)[1]


def test_features_are_the_same_bits_with_and_without_it():
    plain = DifferentialEntropy({}, LABELS, 250.0, 1.0, 0.25)
    lost = np.zeros((62, 4), dtype=bool)
    for at, step in zip(range(0, 744, 62), steps(SAMPLES)[0], strict=False):
        before = plain.push(SAMPLES[at : at + 62].copy(), lost)
        assert (before is None) == (step is None)
        if before is not None:
            assert before.coupling is None
            assert before.filters_crc == step.filters_crc
            np.testing.assert_array_equal(before.values, step.values)


def test_the_band_that_holds_10_hz_or_comes_nearest():
    assert coupling_band({"delta": (1, 4), "mu": (8, 13), "alpha": (8, 14)}) == 1
    assert coupling_band({"theta": (4, 8), "beta": (14, 31)}) == 0


def test_pairs_are_neighbours_and_what_lies_across_and_every_pair_of_a_few():
    from bci_m2s.training.drift.pairs import pairs_of

    spec = contract().modalities["eeg"]
    assert len(pairs_of(spec)) == 6
    labels = ("F3", "FC3", "F1", "F5", "AF3", "F4", "FC4", "F2", "F6", "AF4", "nowhere")
    made = pairs_of(spec.model_copy(update={"channels": labels})).tolist()
    assert [0, 5] in made
    assert [0, 1] in made
    assert [0, 6] not in made
    assert not any(10 in pair for pair in made)
    eye = spec.feature.model_copy(update={"name": "eye"})
    assert pairs_of(spec.model_copy(update={"feature": eye})) is None
