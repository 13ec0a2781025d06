"""Age of the newest sample when an application gets it, and what that costs, over real LSL.

One process sends 62 channels at 1 kHz. Each sample is stamped with the LSL clock at its push, so its age
is the time since then: liblsl at both ends, loopback, and the receiver.
Receivers take turns, each in a process of its own, all on this one source (A B C A B C ...):

- ``pylsl``: the floor. A thread blocks in ``pull_chunk(dest_obj=, min_samples=1)``, nothing else.
- ``bci_m2s``: the live engine with all its threads. Its reader pulls with ``LslSource`` and writes the
  ring; the age is taken where the inference thread hands the samples of its cursor to the pipeline.
- ``mne-lsl``: ``StreamLSL(bufsize=4).connect(acquisition_delay=0.001)``, asked every millisecond for new
  samples and read with ``get_data``. Only with ``--mne-lsl-python``: an interpreter that has mne-lsl,
  since two builds of liblsl must not share a process.

CPU is user and system time of the whole receiving process. Loopback only, in an LSL session of its own.

    python benchmarks/acquisition.py --mne-lsl-python /path/to/other/venv/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine, load_now, load_warning

LABELS = {"pylsl": "pylsl, blocking", "bci_m2s": "bci_m2s engine", "mne-lsl": "mne-lsl StreamLSL"}
SETTLE_S = 1.0  # received before the measurement begins
START_LIMIT_S = 60.0  # imports, finding the stream, connecting
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


# ---- receivers: each connects, then gives a function that receives for some seconds ----


@contextmanager
def receive_with_pylsl(name: str, meter: Meter) -> Iterator[Callable[[float], None]]:
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


class MeteredPipeline:
    """Stands where the engine keeps its pipeline, and notes what it is given."""

    def __init__(self, meter: Meter, clock: Callable[[], float]) -> None:
        self._meter, self._clock = meter, clock
        self.classes: tuple[str, ...] = ()
        self.clock_offset_s: dict[str, float] = {}

    def push(self, _modality: str, chunk: Any, newest_only: bool = False) -> tuple[()]:  # noqa: ARG002
        """Note a chunk; there are no estimates."""
        self._meter.note(self._clock(), chunk.times[-1], len(chunk), chunk.samples[-1, 0])
        return ()

    def events(self) -> tuple[()]:
        """There are none."""
        return ()

    def no_estimate(self, modality: str, _status: object, reason: str) -> None:
        """The engine found the stream silent, so there is nothing to measure."""
        raise RuntimeError(f"{modality}: {reason}")


@contextmanager
def receive_with_engine(name: str, meter: Meter) -> Iterator[Callable[[float], None]]:
    """The live engine: reader thread, ring, inference thread, clock thread, writer thread."""
    from bci_m2s.engine import Engine
    from bci_m2s.sources.lsl import LslSource, local_clock

    source = LslSource(name, wait_s=START_LIMIT_S)
    source.open()
    pipeline: Any = MeteredPipeline(meter, local_clock)
    engine = Engine(pipeline, {"eeg": source}, [], local_clock)
    engine.start()
    yield time.sleep
    engine.request_stop()
    engine.finish()
    if engine.failure is not None:
        raise engine.failure


@contextmanager
def receive_with_mne_lsl(name: str, meter: Meter) -> Iterator[Callable[[float], None]]:
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


def measure(receiver: str, name: str, seconds: float) -> dict[str, float]:
    """Receive and return ages in ms, share of a core, and how many samples came and were lost."""
    meter = Meter()
    with RECEIVERS[receiver](name, meter) as receive:
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


# ---- sender ----


def send(name: str, channels: int, rate_hz: float, per_push: int) -> None:
    """Push `per_push` samples at a time until standard input closes. Channel 0 counts the samples."""
    import pylsl

    info = pylsl.StreamInfo(name, "EEG", channels, rate_hz, "float32", name)
    outlet = pylsl.StreamOutlet(info)
    done = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
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


# ---- all rounds ----


def isolate_lsl(folder: str) -> None:
    """Keep liblsl, here and in every child, on this machine and in a session of its own."""
    file = Path(folder) / "lsl_api.cfg"
    file.write_text(
        "[multicast]\nResolveScope = machine\n[ports]\nIPv6 = disable\n"
        f"[lab]\nSessionID = bci-m2s-benchmark-{uuid.uuid4().hex}\n[log]\nlevel = -3\n",
        encoding="utf-8",
    )
    os.environ["LSLAPICFG"] = str(file)


@contextmanager
def sender_process(options: argparse.Namespace, name: str) -> Iterator[None]:
    """A sender that ends with this process, however that ends: its standard input closes."""
    command = [sys.executable, __file__, "--role", "sender", "--name", name]
    for option in ("channels", "rate", "per_push"):
        command += [f"--{option.replace('_', '-')}", str(getattr(options, option))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdin is not None
        assert sender.stdout is not None
        if sender.stdout.readline().strip() != "sending":
            sys.exit("the sender did not start")
        yield
        if sender.poll() is not None:
            sys.exit(f"the sender ended by itself, with status {sender.returncode}")
        sender.stdin.close()


def run_receiver(receiver: str, name: str, options: argparse.Namespace) -> dict[str, float]:
    """One turn of one receiver, in its own process."""
    python = options.mne_lsl_python if receiver == "mne-lsl" else sys.executable
    command = [python, __file__, "--role", receiver, "--name", name, "--seconds", str(options.seconds)]
    limit_s = options.seconds + SETTLE_S + START_LIMIT_S
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode:
        sys.exit(f"{receiver} failed with status {done.returncode}:\n{done.stderr}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def print_table(results: dict[str, list[dict[str, float]]]) -> None:
    """Median over rounds of each receiver; losses are added up."""
    print(f"\n{'newest sample':<19}{'p50 ms':>8}{'p95 ms':>8}{'CPU of a core':>15}{'samples':>9}{'lost':>6}")
    for receiver, rounds in results.items():
        p50_ms, p95_ms, cpu = (
            np.median([one[key] for one in rounds]) for key in ("p50_ms", "p95_ms", "cpu_share")
        )
        samples, lost = (int(sum(one[key] for one in rounds)) for key in ("samples", "lost"))
        label = LABELS[receiver]
        print(f"{label:<19}{p50_ms:>8.2f}{p95_ms:>8.2f}{100 * cpu:>13.1f} %{samples:>9}{lost:>6}")


def print_ratios(results: dict[str, list[dict[str, float]]]) -> None:
    """bci_m2s against each of the others: median of the rounds' ratios, lowest and highest."""
    print(f"\n{'ratio':<22}{'p50':>18}{'p95':>18}{'CPU':>18}")
    for other in (name for name in results if name != "bci_m2s"):
        cells = []
        for key in ("p50_ms", "p95_ms", "cpu_share"):
            pairs = zip(results["bci_m2s"], results[other], strict=True)
            ratios = [ours[key] / theirs[key] for ours, theirs in pairs]
            cells.append(f"{np.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
        print(f"{'bci_m2s / ' + other:<22}" + "".join(f"{cell:>18}" for cell in cells))


def compare(options: argparse.Namespace) -> None:
    """Let the receivers take turns and print what came out."""
    receivers = ["pylsl", "bci_m2s", *(["mne-lsl"] if options.mne_lsl_python else [])]
    results: dict[str, list[dict[str, float]]] = {receiver: [] for receiver in receivers}
    loads = [load_now()]
    print(describe_machine())
    print(
        f"{options.channels} channels, {options.rate:g} Hz, float32, {options.per_push} samples a push, "
        f"{options.rounds} rounds of {options.seconds:g} s each, in turn"
    )
    name = f"benchmark-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory(prefix="bci_m2s-benchmark-") as folder:
        isolate_lsl(folder)
        with sender_process(options, name):
            for _ in range(options.rounds):
                for receiver in receivers:
                    results[receiver].append(run_receiver(receiver, name, options))
                    loads.append(load_now())
    print_table(results)
    print_ratios(results)
    print(f"\nload {min(loads):.1f}–{max(loads):.1f} (the benchmark's own included)")
    if warning := load_warning(max(loads)):
        print(warning)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line; child processes run this file too, with a role."""
    parser = argparse.ArgumentParser(description="Age of the newest sample over LSL, and CPU.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured in each turn")
    parser.add_argument("--channels", type=int, default=62)
    parser.add_argument("--rate", type=float, default=1000.0, help="Hz")
    parser.add_argument("--per-push", type=int, default=4, help="samples in one push of the sender")
    parser.add_argument("--mne-lsl-python", help="interpreter that has mne-lsl, to measure it too")
    parser.add_argument("--role", choices=["sender", *RECEIVERS], help=argparse.SUPPRESS)
    parser.add_argument("--name", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.role == "sender":
        send(options.name, options.channels, options.rate, options.per_push)
    elif options.role:
        print(json.dumps(measure(options.role, options.name, options.seconds)))
    else:
        compare(options)


if __name__ == "__main__":
    main()
