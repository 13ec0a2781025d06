"""The drift of a model that is calibrated on one person, from that person's recorded sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bci_m2s.model.contract import Component, Contract
from bci_m2s.model.model_file import unpack_modality
from bci_m2s.pipeline.recorded_windows import RecordedRun, StreamRun, recorded_windows
from bci_m2s.signal.drift import mean_over_steps
from bci_m2s.training.drift.block import FittedDrift, fit_own_drift
from bci_m2s.training.drift.fit import PersonWindows
from bci_m2s.types import FloatArray, Status

Span = tuple[float, float]  # of a trial: start and stop on the clock that a session's streams share, s
TOLERANCE_S = 1e-6


def own_drift(
    runs: Sequence[RecordedRun],
    trials: Sequence[Sequence[Span]],
    modality: str,
    contract: Contract,
    tensors: Mapping[str, Any],
) -> FittedDrift | str:
    """The block ``drift`` of a modality with the view ``own`` of this person, and its arrays.

    It replaces the block of the contract, and its arrays, each as "MODALITY." and its name, those of the
    file. A text says why there can be none: then block and arrays stay as they are.

    Parameters
    ----------
    runs : the person's sessions; trials : of each, the labelled ones, all classes
    contract, tensors : of the model that is calibrated
    """
    spec = contract.modalities[modality]
    if spec.drift is None:
        return "the base model has no limit of drift"
    if spec.feature.n_features == 0 or not any(modality in run.streams for run in runs):
        return "no session has this signal"
    found: list[PersonWindows] = []
    for run, spans in zip(runs, trials, strict=True):
        if modality in run.streams:
            found.append(_windows(run.streams[modality], spans, modality, contract, tensors))
    arrays = {
        key: array for key, array in unpack_modality(tensors, modality).items() if key.startswith("drift.")
    }
    return fit_own_drift(found, spec, contract.window, FittedDrift(spec.drift, arrays))


def _windows(
    run: StreamRun, spans: Sequence[Span], modality: str, contract: Contract, tensors: Mapping[str, Any]
) -> PersonWindows:
    """Windows inside trials, as measured: without a baseline, in the extractor's order."""
    spec = contract.modalities[modality].model_copy(
        update={"normaliser": Component(name="training"), "layout": "channel-major"}
    )
    measured = contract.model_copy(update={"modalities": {**contract.modalities, modality: spec}})
    controls = [control for control in run.controls if not control[1].startswith("baseline")]
    without = StreamRun(run.stream, run.facts, False, controls)
    values: list[FloatArray] = []
    begins: list[bool] = []
    before = -1
    for _, window in recorded_windows(without, modality, measured, tensors):
        if window is None or window.features is None or window.status is not Status.OK:
            continue
        for number, (start_s, stop_s) in enumerate(spans):
            if start_s - TOLERANCE_S <= window.start_s and window.end_s <= stop_s + TOLERANCE_S:
                values.append(mean_over_steps(window.features))
                begins.append(number != before)
                before = number
    rows = np.array(values, np.float32).reshape(len(values), spec.feature.n_features)
    return PersonWindows(rows, np.array(begins, dtype=bool))
