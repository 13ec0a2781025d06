"""Feature names to channels and bands: exactly for every extractor of the package, and for odd names."""

from __future__ import annotations

import numpy as np
import pytest

from bci_m2s.features import EXTRACTORS
from bci_m2s.panel.head.band_power import BANDS
from bci_m2s.panel.head.head_feed import feature_places

LABELS = ("Fp1", "Fp2", "Cz")
BODY = {"columns": {"gsr": "Fp1", "emg": ["Fp2", "Cz"]}}
EYE_LABELS = ("gaze_x", "gaze_y", "pupil_x", "pupil_y")


def names_of(extractor, params, labels):
    return EXTRACTORS[extractor](params, labels, 256.0, 1.0, 0.25).names


def named(channels, bands):
    return [f"{channel}.{band}" for channel in channels for band in bands]


def test_differential_entropy_has_a_place_for_each_channel_and_band():
    names = names_of("de", {}, LABELS)
    places = feature_places(names, LABELS)
    np.testing.assert_array_equal(places, np.arange(15).reshape(3, 5))
    assert [names[place] for place in places[1]] == [f"Fp2.{band}" for band in BANDS]


@pytest.mark.parametrize(
    ("extractor", "params", "labels"),
    [
        ("ecg", {"channel": "Fp1"}, LABELS),
        ("physiology", BODY, LABELS),
        (
            "eye",
            {
                "columns": {name: name for name in EYE_LABELS},
                "gaze_unit": "degrees",
            },
            EYE_LABELS,
        ),
    ],
)
def test_quantities_of_a_person_have_no_place_on_the_head(extractor, params, labels):
    assert (feature_places(names_of(extractor, params, labels), labels) == -1).all()


def test_any_order_and_any_case():
    names = named(("cz", "FP2", "fp1"), BANDS[::-1])
    places = feature_places(names, LABELS)
    assert [[names[place] for place in row] for row in places] == [
        named((channel,), BANDS) for channel in ("fp1", "FP2", "cz")
    ]


def test_a_models_own_bands_come_after_those_that_have_names_here():
    names = named(("Fp1", "Cz"), ("high", "alpha"))
    places = feature_places(names, LABELS)
    assert places.shape == (3, len(BANDS) + 1)
    assert places[:, BANDS.index("alpha")].tolist() == [1, -1, 3]
    assert places[:, -1].tolist() == [0, -1, 2]
    assert (places >= 0).sum() == 4


@pytest.mark.parametrize(
    ("channels", "bands"),
    [
        (("Fc5.", "C3..", "Cz."), ("theta", "alpha")),
        (("A1.L", "A1.R", "A1"), ("theta", "alpha", "beta")),
        (("Fp1", "Fp2"), ("1.5-4", "4-8.5", "8.5-13")),
        (("Fp1",), ("alpha",)),
    ],
)
def test_names_with_dots(channels, bands):
    places = feature_places(named(channels, bands), channels)
    found = [[place for place in row if place >= 0] for row in places.tolist()]
    assert found == np.arange(len(channels) * len(bands)).reshape(len(channels), -1).tolist()


@pytest.mark.parametrize("names", [(), ("a", "b"), (".alpha",), (".", "."), ("Fp1.", "Fp2."), ("Fp1",)])
def test_other_names_have_no_place(names):
    assert (feature_places(names, LABELS) == -1).all()
