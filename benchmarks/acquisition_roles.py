"""One process of the acquisition benchmark: the sender, or one of the receivers.

``acquisition.py`` starts them. This file needs numpy alone; each role loads its own library, so that an
interpreter without bci_m2s can run the receiver of another package.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

SETTLE_S = 1.0  # received before the measurement begins
START_LIMIT_S = 60.0  # finding the stream, connecting
PULL_S = 0.2
MOST_SAMPLES = 1024
POLL_S = 0.001
WINDOW_S = 0.25  # what the mne-lsl user asks for
STAMP_STEP_S = 1e-6  # between the samples of one push: a delivery that has only a part of it is no older


class Meter:
    """Notes each delivery: age of its newest sample, number of samples, counter of the newest."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, int, float]] = []

    def note(self, now_s: float, newest_s: float, n: int, counter: float) -> None:
        """Append one delivery."""
        self.rows.append((now_s - newest_s, n, counter))


# Each receiver connects, then gives a function that receives for some seconds.


@contextmanager
def receive_with_pylsl(name: str, meter: Meter, _ring_s: float) -> Iterator[Callable[[float], None]]:
    """The floor: one thread that blocks in pylsl."""
    import pylsl

    (found,) = pylsl.resolve_byprop("name", name, 1, START_LIMIT_S)
    inlet = pylsl.StreamInlet(found, max_buflen=60, recover=True, processing_flags=0)
    inlet.open_stream(timeout=START_LIMIT_S)
    buffer = np.empty((MOST_SAMPLES, inlet.channel_count), np.float32)

    def receive(seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            samples, times = inlet.pull_chunk(
                timeout=PULL_S, max_samples=MOST_SAMPLES, dest_obj=buffer, min_samples=1, as_numpy=True
            )
            if len(times):
                meter.note(pylsl.local_clock(), times[-1], len(times), samples[-1, 0])

    yield receive
    inlet.close_stream()


def metered_judge(meter: Meter, clock: Callable[[], float]) -> Any:
    """Is given samples where the engine has its pipeline, and notes them; nothing may go wrong."""
    from bci_m2s.engine.record_only import RecordOnly
    from bci_m2s.types import no_listener

    class MeteredJudge(RecordOnly):
        hop_s = 0.25

        def collect(self, _modality: str, chunk: Any, *_how: object, **_more: object) -> list[Any]:
            """Note a chunk; nothing is due."""
            meter.note(clock(), chunk.times[-1], len(chunk), chunk.samples[-1, 0])
            return []

        def refuse(self, modality: str, reason: str) -> None:
            """The sender is in doubt, so there is nothing to measure."""
            if reason:
                raise RuntimeError(f"{modality}: {reason}")

        def no_estimates(self, modality: str, _status: object, reason: str) -> list[Any]:
            """The engine found the stream silent, so there is nothing to measure."""
            raise RuntimeError(f"{modality}: {reason}")

    return MeteredJudge({}, no_listener)


@contextmanager
def receive_with_engine(name: str, meter: Meter, ring_s: float) -> Iterator[Callable[[float], None]]:
    """The live engine: reader thread, ring, inference thread, clock thread, writer thread."""
    from bci_m2s.engine import stream_state
    from bci_m2s.engine.engine import Engine
    from bci_m2s.engine.publisher import Publisher
    from bci_m2s.lsl.network import local_clock
    from bci_m2s.sources.lsl import LslSource

    if ring_s:
        stream_state.RING_S = ring_s
    source = LslSource(name, wait_s=START_LIMIT_S)
    source.open()
    judge = metered_judge(meter, local_clock)
    publisher = Publisher({}, judge.hop_s, local_clock)
    engine = Engine(judge, {"eeg": source}, publisher, local_clock)
    engine.start()
    yield time.sleep
    engine.request_stop()
    engine.finish()
    if engine.failure is not None:
        raise engine.failure


@contextmanager
def receive_with_mne_lsl(name: str, meter: Meter, _ring_s: float) -> Iterator[Callable[[float], None]]:
    """mne-lsl's buffered stream, polled."""
    from mne_lsl.lsl import local_clock  # type: ignore[import-not-found,unused-ignore]
    from mne_lsl.stream import StreamLSL  # type: ignore[import-not-found,unused-ignore]

    stream = StreamLSL(bufsize=4, name=name).connect(acquisition_delay=0.001, timeout=START_LIMIT_S)
    last_s = -np.inf

    def receive(seconds: float) -> None:
        nonlocal last_s
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            if stream.n_new_samples:
                samples, times = stream.get_data(winsize=WINDOW_S)  # (channels, n), (n,)
                now_s = local_clock()
                n = len(times) - int(np.searchsorted(times, last_s, side="right"))
                last_s = times[-1]
                if n:
                    meter.note(now_s, last_s, n, samples[0, -1])
            time.sleep(POLL_S)

    yield receive
    stream.disconnect()


RECEIVERS = {"pylsl": receive_with_pylsl, "bci_m2s": receive_with_engine, "mne-lsl": receive_with_mne_lsl}


def measure(receiver: str, name: str, seconds: float, ring_s: float) -> dict[str, float]:
    """Receive and return ages in ms, share of a core, and how many samples came and were lost.

    ring_s : length of the engine's ring; 0 for the usual one
    """
    meter = Meter()
    with RECEIVERS[receiver](name, meter, ring_s) as receive:
        receive(SETTLE_S)
        meter.rows.clear()
        begun_s, cpu_s = time.perf_counter(), _cpu_s()
        receive(seconds)
        cpu_share = (_cpu_s() - cpu_s) / (time.perf_counter() - begun_s)
        rows = np.array(meter.rows)
    if len(rows) < 2:
        raise RuntimeError(f"{receiver}: {len(rows)} deliveries in {seconds:g} s")
    p50_ms, p95_ms = np.percentile(rows[:, 0], [50, 95]) * 1e3
    received = int(rows[1:, 1].sum())
    sent = int(rows[-1, 2] - rows[0, 2])
    return {
        "p50_ms": float(p50_ms),
        "p95_ms": float(p95_ms),
        "cpu_share": cpu_share,
        "samples": received,
        "lost": sent - received,
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def send(name: str, channels: int, rate_hz: float, per_push: int) -> None:
    """Push `per_push` samples at a time until standard input closes. Channel 0 counts the samples."""
    import pylsl

    info = pylsl.StreamInfo(name, "EEG", channels, rate_hz, "float32", name)
    outlet = pylsl.StreamOutlet(info)
    done = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    samples = np.random.default_rng(0).normal(size=(per_push, channels)).astype(np.float32)
    earlier_s = STAMP_STEP_S * np.arange(per_push)[::-1]  # the newest sample is stamped with now
    print("sending", flush=True)
    sent, due_s = 0, pylsl.local_clock()
    while not done.is_set():
        due_s += per_push / rate_hz
        time.sleep(max(0.0, due_s - pylsl.local_clock()))
        samples[:, 0] = sent + np.arange(per_push)
        outlet.push_chunk(samples, (pylsl.local_clock() - earlier_s).tolist())
        sent += per_push


def main() -> None:
    """Play one role; a receiver prints its figures as one line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["sender", *RECEIVERS])
    parser.add_argument("--name", required=True, help="name of the stream")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--ring", type=float, default=0.0)
    parser.add_argument("--channels", type=int, default=62)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--per-push", type=int, default=4)
    options = parser.parse_args()
    if options.role == "sender":
        send(options.name, options.channels, options.rate, options.per_push)
    else:
        print(json.dumps(measure(options.role, options.name, options.seconds, options.ring)))


if __name__ == "__main__":
    main()
