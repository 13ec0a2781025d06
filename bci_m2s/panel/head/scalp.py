"""Where electrodes lie on the head seen from above, and how values between them are interpolated.

Places are projected azimuthally equidistant: the distance from the middle is the angle from the vertex.
Values between them follow thin-plate splines (Duchon 1977), which are linear in the values: a map is one
product with a matrix that depends on the places alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci_m2s.errors import ConfigurationError
from bci_m2s.types import BoolArray, FloatArray

GRID = 128  # cells across the head
LEAST_PLACES = 4  # fewer make no map
EDGE = 1.06  # the head's outline lies so much outside the outermost electrode
SMOOTHING = 1e-6  # two electrodes at one place do not make the equations singular


@dataclass(frozen=True, slots=True)
class Places:
    """Electrodes whose place is known.

    columns : (k,) of the channels they are
    xy : (k, 2), x to the right ear, y to the nose; the head's outline is the unit circle
    unknown : labels without a known place
    """

    columns: NDArray[np.intp]
    xy: FloatArray
    unknown: tuple[str, ...]


def locate(labels: Sequence[str]) -> Places:
    """Places of labels of the 10-05 system, whatever their case. Takes most of a second the first time."""
    from bci_m2s.simulator.montage import electrodes  # loads mne

    columns, found, unknown = [], [], []
    for column, label in enumerate(labels):
        try:
            found.append(electrodes((label.strip(),))[1][0])
            columns.append(column)
        except ConfigurationError:
            unknown.append(label)
    sphere = np.array(found, dtype=np.float64).reshape(-1, 3)
    return Places(np.array(columns, dtype=np.intp), project(sphere), tuple(unknown))


def project(sphere: FloatArray) -> FloatArray:
    """Directions (k, 3) on the unit sphere to the plane, (k, 2); all within the unit circle."""
    angle = np.arccos(np.clip(sphere[:, 2], -1.0, 1.0)) / (np.pi / 2)
    flat = sphere[:, :2] / np.maximum(np.linalg.norm(sphere[:, :2], axis=1, keepdims=True), 1e-12)
    xy: FloatArray = flat * angle[:, None]
    return xy / max(1.0, EDGE * float(angle.max(initial=0.0)))


def cells() -> tuple[BoolArray, FloatArray]:
    """Which cells of the (GRID, GRID) picture are on the head, and where these are, (cells, 2).

    The first row is the nose. A rim of two cells is included, so that a smooth edge can be cut.
    """
    line = (np.arange(GRID) + 0.5) / GRID * 2.0 - 1.0
    x, y = np.meshgrid(line, -line)
    inside = x**2 + y**2 <= (1.0 + 4.0 / GRID) ** 2
    return inside, np.column_stack([x[inside], y[inside]])


def interpolation(xy: FloatArray) -> NDArray[np.float32] | None:
    """Matrix (cells, k) from values at the places to the cells of ``cells``.

    None where there is no map: fewer than four places, or all on one line.
    """
    if len(xy) < LEAST_PLACES or np.linalg.matrix_rank(xy - xy.mean(axis=0), tol=1e-3) < 2:
        return None
    from scipy.interpolate import RBFInterpolator

    spline = RBFInterpolator(xy, np.eye(len(xy)), smoothing=SMOOTHING, kernel="thin_plate_spline")
    matrix: NDArray[np.float32] = spline(cells()[1]).astype(np.float32)
    return matrix
