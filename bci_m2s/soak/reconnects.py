"""Hundreds of reconnects: whether threads or open files grow, and whether a sample is lost."""

from __future__ import annotations

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bci_m2s.engine.engine import Engine
from bci_m2s.errors import BciM2sError, StreamError
from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.network import local_clock
from bci_m2s.session.setup import build
from bci_m2s.soak.accounts import Account, settle_accounts
from bci_m2s.soak.fault_sender import FaultSender
from bci_m2s.soak.fault_spec import FaultSpec
from bci_m2s.soak.usage import Usage, measure
from bci_m2s.sources.lsl import LslSource

RETURN_S = 20.0  # until samples of a restarted sender come
ATTEMPTS = 4  # liblsl has a few ports for senders; a sender without one is not found
SAMPLES = 25  # after which a sender counts as back
REPORT_EVERY = 50


class Reconnects:
    """A recording without a model of several senders that are restarted repeatedly.

    Parameters
    ----------
    folder : empty, for the recording
    senders : their number
    seed : of their noise

    Attributes
    ----------
    usages : before the first restart, and then every fifty
    back_s : from each sender's start to its samples
    unseen : starts after which no sample came
    broken : promises that were not kept
    """

    def __init__(self, folder: Path, senders: int = 4, seed: int = 0) -> None:
        self.folder = folder
        prefix = f"again-{secrets.token_hex(4)}"
        names = [f"{prefix}-{number}" for number in range(senders)]
        self.senders = {
            name: FaultSender(FaultSpec(name, source_id=name, seed=seed + number))
            for number, name in enumerate(names)
        }
        self.usages: list[Usage] = []
        self.back_s: list[float] = []
        self.broken: list[str] = []
        self.unseen = 0
        self._done, self._lock = 0, threading.Lock()

    def run(self, count: int, console: Console) -> list[Account]:
        """Restart senders `count` times in total; return the accounts of the recording."""
        shares = np.full(len(self.senders), count // len(self.senders))
        shares[: count % len(self.senders)] += 1
        with ExitStack() as stack:
            for sender in self.senders.values():
                stack.enter_context(sender)
            engine = self._start()
            try:
                self._wait_for_all(engine)
                self._started_s = time.monotonic()
                self.usages.append(measure(0.0))
                restart = partial(self._restart_often, engine, console)
                with ThreadPoolExecutor(len(shares)) as pool:
                    list(pool.map(restart, self.senders, shares.tolist()))  # raises what one of them raised
                self._wait_for_all(engine)
                self.usages.append(measure(time.monotonic() - self._started_s))
            finally:
                engine.finish()
            recording = engine.reporter.snapshot().recording
            if engine.failure is not None:
                self.broken.append(f"engine: {engine.failure}")
            if recording is not None and recording.lost_samples:
                self.broken.append(f"recorder: {recording.lost_samples} samples lost, expected 0")
        sent = {name: sender.sent for name, sender in self.senders.items()}
        return settle_accounts(self.folder / "session.xdf", sent)

    def _start(self) -> Engine:
        sources: dict[str, Any] = {}
        for name in self.senders:
            sources[name] = LslSource(name, wait_s=RETURN_S)
            sources[name].open()
        engine, _ = build.make_recording(self.folder, sources, local_clock, SessionDescription())
        engine.start()
        return engine

    def _restart_often(self, engine: Engine, console: Console, name: str, count: int) -> None:
        try:
            for _ in range(count):
                for attempt in range(ATTEMPTS):
                    self.senders[name].kill()
                    self.senders[name].restart()
                    started_s = time.monotonic()
                    if self._sends(engine, name):
                        break
                    self.unseen += 1
                    if attempt == ATTEMPTS - 1:
                        raise StreamError(f"stream {name!r}: no samples after {ATTEMPTS} starts")
                self._count(time.monotonic() - started_s, console)
        except BciM2sError as problem:
            self.broken.append(str(problem))

    def _count(self, back_s: float, console: Console) -> None:
        with self._lock:
            self.back_s.append(back_s)
            self._done += 1
            if self._done % REPORT_EVERY == 0:
                self.usages.append(measure(time.monotonic() - self._started_s))
                console.print(f"{self._done} reconnects: {self.usages[-1].describe()}")

    def _wait_for_all(self, engine: Engine) -> None:
        self.broken += [f"{name}: no samples" for name in self.senders if not self._sends(engine, name)]

    def _sends(self, engine: Engine, name: str) -> bool:
        """Wait for new samples; whether they came."""
        before, until_s = _samples(engine, name), time.monotonic() + RETURN_S
        while _samples(engine, name) < before + SAMPLES:
            if time.monotonic() > until_s or engine.wait(0.02):
                return False
        return True


def _samples(engine: Engine, name: str) -> int:
    return next(stream.samples for stream in engine.reporter.snapshot().health if stream.modality == name)
