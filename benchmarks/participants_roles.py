"""One process of the benchmark of participants: everybody's headsets, or bare inlets that read them.

``participants.py`` starts them. A headset is an LSL outlet of white noise of 20 µV in pushes of 40 ms;
pushes of different headsets lie evenly spread in time.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pylsl

PUSH_S = 0.04
NOISE_UV, NOISE_S = 20.0, 8.0
FIND_S, PULL_S, SETTLE_S = 60.0, 0.2, 1.0
MOST_SAMPLES = 1024
ORDER = 100_003  # pushes: over an hour


def stream_name(prefix: str, number: int) -> str:
    """Of a participant's headset: what a pipeline calls "prefix {id}"."""
    return f"{prefix} p{number:02d}"


def send(prefix: str, people: int, channels: int, rate_hz: float) -> None:
    """Push everybody's samples until standard input closes."""
    outlets = []
    for number in range(people):
        name = stream_name(prefix, number)
        info = pylsl.StreamInfo(name, "EEG", channels, rate_hz, "float32", name)
        labels = info.desc().append_child("channels")
        for channel in range(channels):
            one = labels.append_child("channel")
            one.append_child_value("label", f"E{channel + 1}")
            one.append_child_value("unit", "uV")
        outlets.append(pylsl.StreamOutlet(info))
    done = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        done.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=NOISE_UV, size=(round(NOISE_S * rate_hz), channels))
    pushes = np.split(noise.astype(np.float32), round(NOISE_S / PUSH_S))
    order = rng.integers(len(pushes), size=ORDER)  # a signal that repeats would be remarked upon
    print("sending", flush=True)
    begun_s, turn = pylsl.local_clock(), 0
    while not done.is_set():
        for number, outlet in enumerate(outlets):
            due_s = begun_s + (turn + number / people) * PUSH_S
            wait_s = due_s - pylsl.local_clock()
            if wait_s > 0:
                time.sleep(wait_s)
            outlet.push_chunk(pushes[order[(turn + 97 * number) % len(order)]], due_s)
        turn += 1


def read(prefix: str, people: int, seconds: float, folder: Path) -> None:
    """Read everybody's stream with a blocking inlet each and write samples and stamps to files."""
    streams = pylsl.resolve_streams(2.0)
    wanted = {stream_name(prefix, number) for number in range(people)}
    found = {stream.name(): stream for stream in streams if stream.name() in wanted}
    if missing := wanted - found.keys():
        raise RuntimeError(f"not found: {', '.join(sorted(missing))}")
    stop, counts = threading.Event(), [0] * people

    def follow(number: int, name: str) -> None:
        inlet = pylsl.StreamInlet(found[name], max_buflen=60, processing_flags=0)
        inlet.open_stream(timeout=FIND_S)
        buffer = np.empty((MOST_SAMPLES, inlet.channel_count), np.float32)
        with (folder / f"{number}.bin").open("wb") as file:
            while not stop.is_set():
                samples, stamps = inlet.pull_chunk(
                    timeout=PULL_S, max_samples=MOST_SAMPLES, dest_obj=buffer, min_samples=1, as_numpy=True
                )
                if len(stamps):
                    file.write(samples)
                    file.write(stamps)
                    counts[number] += len(stamps)
        inlet.close_stream()

    threads = [
        threading.Thread(target=follow, args=(number, name)) for number, name in enumerate(sorted(wanted))
    ]
    for thread in threads:
        thread.start()
    while not all(counts):
        time.sleep(0.05)
    time.sleep(SETTLE_S)
    print("reading", flush=True)
    begun_s, before = time.perf_counter(), sum(counts)
    time.sleep(seconds)
    rate_hz = (sum(counts) - before) / (time.perf_counter() - begun_s)
    print(json.dumps({"rate_hz": rate_hz / people}), flush=True)
    stop.set()
    for thread in threads:
        thread.join()


def main() -> None:
    """Play one role."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["sender", "bare"])
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--channels", type=int, default=62)
    parser.add_argument("--rate-hz", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    if options.role == "sender":
        send(options.prefix, options.people, options.channels, options.rate_hz)
    else:
        read(options.prefix, options.people, options.seconds, options.folder)


if __name__ == "__main__":
    main()
