"""A session's windows as a live model has them, for its limits of drift."""

from __future__ import annotations

import numpy as np

from bci_m2s.model.contract import ModalityContract, WindowContract
from bci_m2s.signal.drift import mean_over_steps
from bci_m2s.training.data.sessions import SessionFeatures
from bci_m2s.training.datasets.layout import Trial
from bci_m2s.training.drift.fit import PersonWindows


def windows_of(
    session: SessionFeatures,
    modality: str,
    spec: ModalityContract,
    window: WindowContract,
    trial: Trial | None = None,
) -> PersonWindows:
    """Every valid window of a session, rest and pauses included, or those that lie in a trial."""
    values = session.values[modality]
    per_step = window.blocks_per_step
    reach = (window.steps - 1) * per_step
    last = np.arange(reach, len(values))
    rows = last[:, None] + np.arange(-reach, 1, per_step)
    good = session.usable[modality] & (np.isnan(values).mean(axis=1) <= spec.max_missing)
    spaced = np.abs(np.diff(session.end_s[rows], axis=1) - window.step_s) <= window.hop_s / 2
    kept = good[rows].all(axis=1) & spaced.all(axis=1)
    if trial is not None:
        end_s, length_s = session.end_s[last], window.steps * window.step_s
        kept &= (end_s <= trial.stop_s + 1e-6) & (end_s - length_s >= trial.start_s - 1e-6)
    rows = rows[kept]
    segment = np.cumsum(np.diff(session.end_s, prepend=-np.inf) > 1.5 * window.hop_s)
    begins = (
        np.diff(segment[rows[:, -1]], prepend=0) > 0
    )  # windows without an estimate end nothing, as live
    means = np.array([mean_over_steps(values[one].astype(np.float64)) for one in rows], np.float32)
    coupling = None
    if (found := session.couplings.get(modality)) is not None:
        some = [mean_over_steps(found[one].astype(np.float64)) for one in rows]
        coupling = np.array(some, np.float32).reshape(len(rows), found.shape[1])
    return PersonWindows(means.reshape(len(rows), values.shape[1]), begins, coupling)
