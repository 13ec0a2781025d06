"""Electrode positions on a unit sphere, from the montages that mne ships.

x points to the right ear, y to the nose, z up. A montage's own positions are put on the sphere by
fitting its centre (least squares); labels given one by one are looked up in the 10-05 system
(Oostenveld & Praamstra 2001), whatever their case. Two names are added to mne's: "seed-62", the cap
of the SEED data sets, and "muse".

CB1 and CB2 of the NeuroScan cap are not part of the 10-05 system. They sit over the cerebellum,
below PO7 and PO8 and beside O1 and O2; here they take the positions of PO9 and PO10.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.types import FloatArray

_SEED_ROWS = """
FP1 FPZ FP2 AF3 AF4
F7 F5 F3 F1 FZ F2 F4 F6 F8
FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8
T7 C5 C3 C1 CZ C2 C4 C6 T8
TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8
P7 P5 P3 P1 PZ P2 P4 P6 P8
PO7 PO5 PO3 POZ PO4 PO6 PO8
CB1 O1 OZ O2 CB2
"""
SEED_62 = tuple(_SEED_ROWS.split())
MUSE = ("TP9", "AF7", "AF8", "TP10")
NAMED = {"seed-62": SEED_62, "muse": MUSE}
CEREBELLAR = {"cb1": "po9", "cb2": "po10"}


def electrodes(montage: str | tuple[str, ...]) -> tuple[tuple[str, ...], FloatArray]:
    """Return labels and positions (channels, 3) on the unit sphere.

    montage : "seed-62", "muse", a montage name of mne, or labels of the 10-05 system

    Raises ConfigurationError for an unknown montage or label, naming the nearest.
    """
    if not isinstance(montage, str):
        return tuple(montage), _lookup(tuple(montage))
    if montage in NAMED:
        return NAMED[montage], _lookup(NAMED[montage])
    positions = _mne_positions(montage)
    return tuple(positions), np.array(list(positions.values()))


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
        options = [*NAMED, *known]
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
