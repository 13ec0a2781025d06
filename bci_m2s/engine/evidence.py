"""What estimates rest on, published at a low rate of its own while somebody listens.

A thread of its own in the engine's process. Loss policy: the latest valid window of each modality, nothing
older. Inference hands a window over with one assignment and never waits: this thread shares the network's
weights with it, which both only read. Whatever fails here ends the evidence and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bci_m2s.types import Emit, Event, FloatArray, Window

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor
    from bci_m2s.sinks.outlets import EvidenceOutlet

EVERY_S = 1.0


class _Offer(NamedTuple):
    values: FloatArray  # (T, F), in the model's layout
    answers: Mapping[str, FloatArray]  # head: (1, classes)
    last_sample_s: float


class Evidence:
    """Computes and publishes attributions. May serve several engines, one after another.

    Parameters
    ----------
    predictor : the model, the same that judges the windows
    outlets : one for each modality of the session
    every_s : s between two looks at what was offered

    Attributes
    ----------
    problem : why there is no evidence any more, "" while there may be
    """

    def __init__(
        self, predictor: Predictor, outlets: Mapping[str, EvidenceOutlet], every_s: float = EVERY_S
    ) -> None:
        self._predictor, self._outlets, self._every_s = predictor, dict(outlets), every_s
        # Written by the inference thread, emptied by this one: storing and popping an entry of a dict are
        # one operation each, so neither sees half of an offer.
        self._latest: dict[str, _Offer] = {}
        self._thread: threading.Thread | None = None
        self.problem = ""

    def offer(self, window: Window, answers: Mapping[str, FloatArray], last_sample_s: float) -> None:
        """Take a judged window; it replaces the one before. Returns at once; for ``Pipeline.on_judged``.

        answers : head: (1, classes) probabilities; last_sample_s : local time of its last sample
        """
        if window.features is not None:
            self._latest[window.modality] = _Offer(window.features, answers, last_sample_s)

    def start(self, stop: threading.Event, emit: Emit) -> None:
        """Begin a thread that ends when `stop` is set; none once something failed. While one of an engine
        before is still busy, or hangs, the new one waits for it: two never compute at once.
        """
        if self.problem:
            return
        self._latest.clear()  # nothing of the engine before
        arguments = (self._thread, stop, emit)
        self._thread = threading.Thread(target=self._run, args=arguments, name="evidence", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; whether it did. One that hangs in a device is left behind."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def close(self) -> None:
        """Withdraw the streams."""
        for outlet in self._outlets.values():
            outlet.close()

    def _run(self, before: threading.Thread | None, stop: threading.Event, emit: Emit) -> None:
        while before is not None and before.is_alive():
            if stop.wait(self._every_s):
                return
        try:
            while not stop.wait(self._every_s) and not self.problem:
                for modality, outlet in self._outlets.items():
                    offer = self._latest.pop(modality, None)
                    if offer is not None and outlet.wanted:
                        self._publish(modality, outlet, offer)
        except Exception as problem:  # of any kind: torch, CUDA, liblsl
            first = next(iter(str(problem).strip().splitlines()), type(problem).__name__)[:300]
            self.problem = f"no more evidence: {first}"
            emit(Event("evidence_failed", self.problem))

    def _publish(self, modality: str, outlet: EvidenceOutlet, offer: _Offer) -> None:
        for head, answer in offer.answers.items():
            place = int(np.argmax(answer[0]))
            values = self._predictor.attribution(modality, offer.values, head, place)
            outlet.push(values, head, place, offer.last_sample_s)
