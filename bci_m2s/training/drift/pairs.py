"""Which pairs of channels tell how a head's channels go together."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bci_m2s.model.contract import ModalityContract
from bci_m2s.simulator.montage import known_positions

NEIGHBOURS = 4  # of each channel
ALL_BELOW = 8  # of fewer channels every pair is taken
MIRROR = (-1.0, 1.0, 1.0)  # x points to the right ear


def pairs_of(spec: ModalityContract) -> NDArray[np.intp] | None:
    """Pairs (P, 2) of a modality's channels: each with its neighbours, and with the one across the midline.

    Of channels whose place is not known there are none; of a few channels, all. None for a modality whose
    feature cannot tell, and where there is no pair.
    """
    if spec.feature.name != "de":
        return None
    return _pairs(spec.channels)


@lru_cache(maxsize=16)  # a training has hundreds of sessions
def _pairs(labels: tuple[str, ...]) -> NDArray[np.intp] | None:
    n = len(labels)
    if n < ALL_BELOW:
        found = {(one, other) for one in range(n) for other in range(one + 1, n)}
    else:
        positions = known_positions(labels)
        located = np.flatnonzero(np.isfinite(positions).all(axis=1))
        found = set()
        for place, channel in enumerate(located.tolist()):
            apart = np.linalg.norm(positions[located] - positions[channel], axis=1)
            near = [other for other in np.argsort(apart, kind="stable").tolist() if other != place]
            across = np.linalg.norm(positions[located] - positions[channel] * MIRROR, axis=1)
            for other in (*near[:NEIGHBOURS], int(np.argmin(across))):
                if other != place:
                    one, two = sorted((channel, int(located[other])))
                    found.add((one, two))
    return np.array(sorted(found), dtype=np.intp) if found else None
