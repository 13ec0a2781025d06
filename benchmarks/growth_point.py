"""One point of the growth benchmark, in a process of its own, so that its memory is its own.

    python growth_point.py PEOPLE CHANNELS RATE_HZ AT_S ...

Feeds simulated stamps and noise straight through everybody's pipeline, with the publisher's statistics and
history, as fast as it goes; due windows of several people are judged together, as in a session. Prints one
line of JSON: for each moment AT_S of the session the milliseconds that a second of everybody's signal took
since the moment before, and the megabytes in memory.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bci_m2s.engine.publisher import Publisher
from bci_m2s.model.contract import Contract, FeatureContract
from bci_m2s.model.model_file import load_model_file, modality_network, pack_modality
from bci_m2s.model.predictor import Predictor
from bci_m2s.pipeline.due import judge
from bci_m2s.pipeline.modality import ModalityStage
from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.session.setup.build import stage_tensors
from bci_m2s.session.setup.shipped import find_model
from bci_m2s.types import Chunk, StreamInfo

CHUNK_S = 0.04
SETTLED_S = 12.0  # filters, and the first full window
NOISE_S = 4.0  # of made-up signal, again and again


def contract_of(channels: int) -> Contract:
    """The EEG of the demo's model for so many channels."""
    contract, _ = load_model_file(find_model("demo-62ch-eye"))
    spec = contract.modalities["eeg"]
    bands = spec.feature.n_features // len(spec.channels)
    feature = FeatureContract(
        name=spec.feature.name, params=spec.feature.params, n_features=bands * channels
    )
    changes: dict[str, Any] = {
        "channels": tuple(f"E{number + 1}" for number in range(channels)),
        "units": ("uV",) * channels,
        "rate_min_hz": 100.0,
        "rate_max_hz": 5000.0,
        "feature": feature,
        "amplitude": {},
        "calibration": {},
        "drift": None,
    }
    return contract.model_copy(update={"modalities": {"eeg": spec.model_copy(update=changes)}})


def make_pipelines(people: int, channels: int, rate_hz: float) -> list[tuple[Pipeline, Publisher]]:
    """With random weights, of one model, and baselines of made-up people."""
    contract = contract_of(channels)
    n = contract.modalities["eeg"].feature.n_features
    network = modality_network(contract, "eeg")
    tensors = pack_modality("eeg", network, np.zeros(n), np.ones(n), np.ones(n))
    predictor = Predictor(contract, tensors, "cpu", 1)
    predictor.warm_up()
    return [make_pipeline(contract, tensors, predictor, rate_hz) for _ in range(people)]


def make_pipeline(
    contract: Contract, tensors: Mapping[str, Any], predictor: Predictor, rate_hz: float
) -> tuple[Pipeline, Publisher]:
    """One person's."""
    spec = contract.modalities["eeg"]
    zeros, ones = np.zeros(spec.feature.n_features), np.ones(spec.feature.n_features)
    info = StreamInfo("growth", "EEG", "growth", rate_hz=rate_hz, labels=spec.channels, units=spec.units)
    stage = ModalityStage("eeg", spec, contract.window, info, stage_tensors(tensors, "eeg"))
    publisher = Publisher(contract.class_names, contract.window.hop_s, None)
    publisher.attach([])
    pipeline = Pipeline({"eeg": stage}, predictor, time.perf_counter, emit=publisher.emit)
    pipeline.adopt_baseline("eeg", zeros, ones)
    return pipeline, publisher


def grow(people: int, channels: int, rate_hz: float, moments_s: Sequence[float]) -> list[dict[str, float]]:
    """Feed everybody to the last of the moments."""
    made_of = make_pipelines(people, channels, rate_hz)
    chunk_n, noise_n = round(CHUNK_S * rate_hz), round(NOISE_S * rate_hz)
    noise = np.random.default_rng(0).normal(scale=20.0, size=(noise_n, channels)).astype(np.float32)
    found, at, made = [], 0, 0

    def feed(until_s: float) -> None:
        nonlocal at, made
        while at < until_s * rate_hz:
            rows = np.arange(at, at + chunk_n)
            chunk = Chunk.of(rows / rate_hz, noise[rows % noise_n])
            dues = [pipeline.collect("eeg", chunk, 0.0) for pipeline, _ in made_of]
            judge([due for one in dues for due in one])
            for (pipeline, publisher), due in zip(made_of, dues, strict=True):
                for estimate in pipeline.complete(due):
                    publisher.put(estimate)
                    made += int(estimate.status == 0)
            at += chunk_n

    with ExitStack() as open_ones:
        for _, publisher in made_of:
            open_ones.enter_context(publisher)
        feed(SETTLED_S)
        begun_s, before_s = time.perf_counter(), SETTLED_S
        for moment_s in moments_s:
            feed(SETTLED_S + moment_s)
            now_s = time.perf_counter()
            per_s = (now_s - begun_s) / (SETTLED_S + moment_s - before_s)
            found.append({"ms": 1e3 * per_s, "mb": memory_mb(), "estimates": made})
            begun_s, before_s = now_s, SETTLED_S + moment_s
    return found


def memory_mb() -> float:
    """Resident set of this process, by ``/proc``."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    (kb,) = re.findall(r"^VmRSS:\s+(\d+) kB", text, re.M)
    return int(kb) * 1024 / 1e6


if __name__ == "__main__":
    people, channels, rate_hz, *moments_s = sys.argv[1:]
    print(json.dumps(grow(int(people), int(channels), float(rate_hz), [float(one) for one in moments_s])))
