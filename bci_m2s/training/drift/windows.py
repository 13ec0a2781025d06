"""A session's windows as a live model has them, for its limits of drift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bci_m2s.model.contract import ModalityContract, WindowContract
from bci_m2s.signal.drift import mean_over_steps
from bci_m2s.training.data.sessions import Rows, SessionFeatures, normalised
from bci_m2s.training.drift.fit import PersonWindows
from bci_m2s.types import FloatArray


def windows_of(
    session: SessionFeatures,
    modality: str,
    spec: ModalityContract,
    window: WindowContract,
    spread: FloatArray,
) -> PersonWindows:
    """Every window of a session for which a live model would answer, rest and pauses included.

    spread : (F,) typical within one training person's baseline, as the model file has it
    """
    measured = session.values[modality]
    relative = normalised(session, modality, spec, window, spread)
    per_step = window.blocks_per_step
    last = np.arange((window.steps - 1) * per_step, len(measured))
    rows = last[:, None] + np.arange(-(window.steps - 1) * per_step, 1, per_step)
    missing = np.isnan(measured).mean(axis=1) > spec.max_missing
    missing |= np.isnan(relative).mean(axis=1) > spec.max_missing
    good = session.usable[modality] & ~missing
    good &= ~np.isnan(relative).all(axis=1)
    spaced = np.abs(np.diff(session.end_s[rows], axis=1) - window.step_s) <= window.hop_s / 2
    kept = good[rows].all(axis=1) & spaced.all(axis=1)
    rows = rows[kept]
    begins = np.diff(session.end_s[rows[:, -1]], prepend=-np.inf) > 1.5 * window.hop_s
    return PersonWindows(_means(measured, rows), _means(relative, rows), begins)


def _means(values: Rows, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Mean over the steps of each window, (n, F). values : (rows, F); rows : (n, T)."""
    means = np.array([mean_over_steps(values[window].astype(np.float64)) for window in rows], np.float32)
    return means.reshape(len(rows), values.shape[1])
