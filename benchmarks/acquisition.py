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
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from machine import describe_machine, load_now, load_warning

ROLES = str(Path(__file__).with_name("acquisition_roles.py"))
LABELS = {"pylsl": "pylsl, blocking", "bci_m2s": "bci_m2s engine", "mne-lsl": "mne-lsl StreamLSL"}
TURN_LIMIT_S = 120.0  # imports, finding the stream and connecting, beside what is measured

Result = dict[str, float]


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
    command = [sys.executable, ROLES, "sender", "--name", name]
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


def run_receiver(receiver: str, name: str, options: argparse.Namespace) -> Result:
    """One turn of one receiver, in its own process."""
    python = options.mne_lsl_python if receiver == "mne-lsl" else sys.executable
    command = [python, ROLES, receiver, "--name", name, "--seconds", str(options.seconds)]
    limit_s = options.seconds + TURN_LIMIT_S
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode:
        sys.exit(f"{receiver} failed with status {done.returncode}:\n{done.stderr}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def refuse_without_mne_lsl(python: str) -> None:
    """Stop at once, with one line, when the other interpreter does not serve."""
    try:
        asked = subprocess.run(
            [python, "-c", "import mne_lsl"], capture_output=True, timeout=60, check=False
        )
    except OSError as problem:
        sys.exit(f"--mne-lsl-python: {problem}")
    if asked.returncode:
        sys.exit(f"--mne-lsl-python: {python} has no mne-lsl (pip install mne-lsl)")


def print_table(results: dict[str, list[Result]]) -> None:
    """Median over rounds of each receiver; losses are added up."""
    print(
        f"\n{'newest sample':<19}{'p50 ms':>8}{'p95 ms':>8}{'CPU of a core':>15}{'samples':>9}{'lost':>6}"
    )
    for receiver, rounds in results.items():
        p50_ms, p95_ms, cpu = (
            np.median([one[key] for one in rounds]) for key in ("p50_ms", "p95_ms", "cpu_share")
        )
        samples, lost = (int(sum(one[key] for one in rounds)) for key in ("samples", "lost"))
        label = LABELS[receiver]
        print(f"{label:<19}{p50_ms:>8.2f}{p95_ms:>8.2f}{100 * cpu:>13.1f} %{samples:>9}{lost:>6}")


def print_ratios(results: dict[str, list[Result]]) -> None:
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
    if options.mne_lsl_python:
        refuse_without_mne_lsl(options.mne_lsl_python)
    receivers = ["pylsl", "bci_m2s", *(["mne-lsl"] if options.mne_lsl_python else [])]
    results: dict[str, list[Result]] = {receiver: [] for receiver in receivers}
    loads = [load_now()]
    print(describe_machine())
    print(
        f"{options.channels} channels, {options.rate:g} Hz, float32, {options.per_push} samples per push, "
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
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Age of the newest sample over LSL, and CPU.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured in each turn")
    parser.add_argument("--channels", type=int, default=62)
    parser.add_argument("--rate", type=float, default=1000.0, help="Hz")
    parser.add_argument("--per-push", type=int, default=4, help="samples in one push of the sender")
    parser.add_argument("--mne-lsl-python", help="interpreter that has mne-lsl, to measure it too")
    compare(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
