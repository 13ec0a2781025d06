"""Electrode positions on a unit sphere, from the montages that mne ships.

x points to the right ear, y to the nose, z up. A montage's own positions are put on the sphere by
fitting its centre (least squares); labels given one by one are looked up in the 10-05 system
(Oostenveld & Praamstra 2001), whatever their case. The names of ``devices`` are added to mne's.

CB1 and CB2 of the NeuroScan cap are not part of the 10-05 system. They sit over the cerebellum,
below PO7 and PO8 and beside O1 and O2; here they take the positions of PO9 and PO10.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.simulator.devices import DEVICES
from bci_m2s.types import FloatArray

CEREBELLAR = {"cb1": "po9", "cb2": "po10"}


def electrodes(montage: str | tuple[str, ...]) -> tuple[tuple[str, ...], FloatArray]:
    """Return labels and positions (channels, 3) on the unit sphere.

    montage : name of a device (``bci-m2s montages`` lists them) or of a montage of mne, or labels of the
        10-05 system

    Raises ConfigurationError for an unknown montage or label, naming the nearest.
    """
    if not isinstance(montage, str):
        return tuple(montage), _lookup(tuple(montage))
    if montage in DEVICES:
        return DEVICES[montage].channels, _lookup(DEVICES[montage].channels)
    positions = _mne_positions(montage)
    return tuple(positions), np.array(list(positions.values()))


def known_positions(labels: tuple[str, ...]) -> FloatArray:
    """Positions (channels, 3) on the unit sphere by the 10-05 system, NaN for a label that it has not."""
    positions = {label.casefold(): position for label, position in _mne_positions("standard_1005").items()}
    keys = [CEREBELLAR.get(label.casefold(), label.casefold()) for label in labels]
    return np.array([positions.get(key, np.full(3, np.nan)) for key in keys])


def _lookup(labels: tuple[str, ...]) -> FloatArray:
    positions = {label.casefold(): position for label, position in _mne_positions("standard_1005").items()}
    rows = []
    for label in labels:
        key = CEREBELLAR.get(label.casefold(), label.casefold())
        if key not in positions:
            hint = nearest(label, _mne_positions("standard_1005"))
            raise ConfigurationError(f"simulator: montage: unknown channel {label!r}{hint}")
        rows.append(positions[key])
    return np.array(rows)


@lru_cache(maxsize=4)
def _mne_positions(name: str) -> dict[str, FloatArray]:
    import mne.channels  # heavy, and only needed here

    known = mne.channels.get_builtin_montages()
    # mne 1.13 renamed standard_* to colin27_*; both names stay valid here.
    swapped = {"standard": "colin27", "colin27": "standard"}
    family, _, rest = name.partition("_")
    other = f"{swapped.get(family, family)}_{rest}"
    chosen = next((option for option in (name, other) if option in known), None)
    if chosen is None:
        options = [*DEVICES, *known, *(name.replace("colin27", "standard") for name in known)]
        raise ConfigurationError(f"simulator: montage: unknown montage {name!r}{nearest(name, options)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # names between two releases of mne
        positions = mne.channels.make_standard_montage(chosen).get_positions()["ch_pos"]
    sphere = _on_sphere(np.array(list(positions.values()), dtype=np.float64))
    return dict(zip(positions, sphere, strict=True))


def _on_sphere(positions: FloatArray) -> FloatArray:
    """Fit a sphere and return the directions from its centre: (n, 3)."""
    equations = np.hstack([2.0 * positions, np.ones((len(positions), 1))])
    centre = np.linalg.lstsq(equations, np.sum(positions**2, axis=1), rcond=None)[0][:3]
    directions = positions - centre
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)
