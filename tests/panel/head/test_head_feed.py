"""Feature names to channels and bands: exactly for every extractor of the package, and for odd names."""

from __future__ import annotations

import numpy as np
import pytest

from bci_m2s.features import EXTRACTORS
from bci_m2s.panel.head.head_feed import grid_of

LABELS = ("Fp1", "Fp2", "Cz")
BODY = {"columns": {"gsr": "Fp1", "emg": ["Fp2", "Cz"]}}
EYE_LABELS = ("gaze_x", "gaze_y", "pupil_x", "pupil_y")


def names_of(extractor, params, labels):
    return EXTRACTORS[extractor](params, labels, 256.0, 1.0, 0.25).names


def test_differential_entropy_is_a_grid():
    names = names_of("de", {}, LABELS)
    grid = grid_of(names)
    assert grid.channels == LABELS
    assert grid.bands == ("delta", "theta", "alpha", "beta", "gamma")
    np.testing.assert_array_equal(grid.places, np.arange(15).reshape(3, 5))
    for row, channel in enumerate(grid.channels):
        for column, band in enumerate(grid.bands):
            assert names[grid.places[row, column]] == f"{channel}.{band}"


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
    names = names_of(extractor, params, labels)
    assert grid_of(names) is None


def test_values_are_picked_by_channel_and_band():
    names = [f"{channel}.{band}" for band in ("a", "b") for channel in LABELS]  # band by band
    grid = grid_of(names)
    values = np.arange(12.0).reshape(2, 6)
    picked = values[:, grid.places]
    assert picked.shape == (2, 3, 2)
    np.testing.assert_array_equal(picked[0], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(picked[1], picked[0] + 6)


@pytest.mark.parametrize(
    ("channels", "bands"),
    [
        (("Fc5.", "C3..", "Cz."), ("theta", "alpha")),
        (("A1.L", "A1.R", "A2.L"), ("theta", "alpha", "beta")),
        (("Fp1", "Fp2"), ("1.5-4", "4-8.5", "8.5-13")),
        (("Fp1",), ("alpha",)),
    ],
)
def test_names_with_dots(channels, bands):
    grid = grid_of([f"{channel}.{band}" for channel in channels for band in bands])
    assert (grid.channels, grid.bands) == (channels, bands)


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("a", "b"),
        ("Fp1.alpha", "heart_rate"),
        ("Fp1.alpha", "Fp1.beta", "Fp2.alpha"),  # one is missing
        ("Fp1.alpha", "Fp1.alpha"),  # one is there twice
        ("Fp1.a", "Fp1.b", "Fp2.a", "Fp2.a"),  # right in number, wrong in kind
        (".alpha", "Fp1.alpha"),
        (".", "."),
        ("Fp1.", "Fp2."),
    ],
)
def test_other_names_make_no_grid(names):
    assert grid_of(names) is None


def test_what_the_network_sends_is_survived():
    assert grid_of([None, 3, "x"]) is None
