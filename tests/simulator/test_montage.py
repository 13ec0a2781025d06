"""Electrode places: every montage of mne, the SEED cap, and single labels."""

from __future__ import annotations

import numpy as np
import pytest

from bci_m2s.errors import ConfigurationError
from bci_m2s.simulator.devices import SEED_62
from bci_m2s.simulator.montage import electrodes


def test_seed_cap_has_its_62_channels_in_order() -> None:
    """Labels, number, and a few places."""
    labels, places = electrodes("seed-62")
    assert labels == SEED_62
    assert len(set(labels)) == 62
    assert (labels[0], labels[23], labels[57], labels[-1]) == ("FP1", "T7", "CB1", "CB2")
    at = dict(zip(labels, places, strict=True))
    assert at["T7"][0] < -0.9 < 0.9 < at["T8"][0]
    assert at["CZ"][2] > 0.95
    assert at["FPZ"][1] > 0.9 > -0.9 > at["OZ"][1]


def test_cerebellar_electrodes_sit_low_at_the_back() -> None:
    """CB1 and CB2 are lower than O1 and O2, mirrored, and outside of them."""
    labels, places = electrodes(("CB1", "O1", "O2", "cb2", "PO7"))
    assert labels == ("CB1", "O1", "O2", "cb2", "PO7")
    cb1, o1, o2, cb2, po7 = places
    assert cb1[2] < min(o1[2], po7[2]) - 0.1
    assert cb2[2] < o2[2] - 0.1
    assert cb1[0] < o1[0] < 0.0 < o2[0] < cb2[0]
    assert cb1[1] < 0.0
    np.testing.assert_allclose(cb1 * [-1, 1, 1], cb2, atol=0.05)


def test_muse_and_letter_case() -> None:
    """The headband by name equals its labels in any case."""
    labels, places = electrodes("muse")
    assert labels == ("TP9", "AF7", "AF8", "TP10")
    np.testing.assert_array_equal(places, electrodes(("tp9", "af7", "Af8", "TP10"))[1])


def test_every_montage_of_mne_works() -> None:
    """Unit vectors, one for each label, and at least some in front of others."""
    import mne

    for name in mne.channels.get_builtin_montages():
        labels, places = electrodes(name)
        assert places.shape == (len(labels), 3), name
        np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1.0, atol=1e-9, err_msg=name)
        assert np.ptp(places[:, 0]) > 0.5, name


@pytest.mark.parametrize("name", ["standard_1020", "standard_1005", "colin27_1020"])
def test_both_names_of_renamed_montages_work(name: str) -> None:
    """mne renamed its standard montages; a configuration with either name keeps working."""
    labels, places = electrodes(name)
    assert {"Fp1", "Cz", "O2"} <= set(labels)
    assert places[labels.index("Cz"), 2] > 0.95


def test_unknown_names_are_refused_with_the_nearest() -> None:
    """A montage and a label."""
    with pytest.raises(ConfigurationError, match=r"unknown montage 'standard_1021'; nearest: '.*_1020'"):
        electrodes("standard_1021")
    with pytest.raises(ConfigurationError, match=r"unknown channel 'Fp11'; nearest: 'Fp1'"):
        electrodes(("Cz", "Fp11"))
