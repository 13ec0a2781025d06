"""What the panel takes, and what it costs the engine beside it, in one run.

    python benchmarks/panel.py [--against FOLDER] [--peer PYTHON]

Another process sends a simulated 62-channel headset at 1 kHz and an eye tracker; the live engine runs the
demo's pipeline on both, with its outlets. In turn the panel is open beside it, as a process of its own that
draws into memory at 1600 × 900, or it is not. Whose turn is first changes from round to round.

``--against`` names another tree of bci_m2s, ``git worktree add`` makes one: its panel then takes turns with
this one's, beside this tree's engine. ``panel_views.py`` measures the views one by one.

``--peer`` names a Python that has mne-lsl; its viewer then shows the same headset, the panel closed, and
its CPU is measured the same way. It needs a display, Xvfb for instance.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from machine import describe_machine, load_now, load_warning
from recording import Ages

from bci_m2s.engine.engine import Engine
from bci_m2s.lsl.configuration import OWN, lsl_on_this_machine
from bci_m2s.model.predictor import Predictor
from bci_m2s.session.description import describe_session
from bci_m2s.session.setup import build
from bci_m2s.session.setup.connect import Environment, connect

STREAMS = ("eeg", "eye", "markers")
ALONE, OPEN = "engine alone", "panel open"
HERE = Path(__file__).resolve().parent.parent
QUIET_S = 9.0  # until the first window is full, and the panel has opened
END_S = 10.0


def run_once(plan: build.Plan, predictor: Predictor, tree: Path | None, seconds: float) -> dict[str, float]:
    """One session of `seconds` of full windows: ages in ms; CPU and frames of a tree's panel, if any."""
    from bci_m2s.lsl.network import local_clock

    connected = connect(plan, Environment(local_clock, lambda _: None, lambda: False))
    infos = {modality: source.info for modality, source in connected.sources.items()}
    publisher = build.make_publisher(plan, connected.clock)
    pipeline = build.make_pipeline(plan, predictor, infos, connected.clock, publisher.emit)
    for modality, names in pipeline.feature_names.items():  # a made-up person: work from the start
        pipeline.adopt_baseline(modality, np.zeros(len(names)), np.ones(len(names)))
    session = describe_session(plan, infos, pipeline.device, "live")
    ages = Ages()
    publisher.attach([*build.make_sinks(plan, None, session, True), ages])
    evidence = build.make_evidence(plan, predictor, pipeline, session)
    engine = Engine(pipeline, connected.sources, publisher, connected.clock, evidence=evidence)
    engine.start()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "frames.json"
        child = start_child(session.session_id, result, tree) if tree is not None else None
        engine.wait(QUIET_S)
        begun, cpu = len(ages.ages_s), cpu_s(child) if child else 0.0
        engine.wait(seconds)
        if child is not None:
            found["cpu"] = (cpu_s(child) - cpu) / seconds
            child.send_signal(signal.SIGTERM)
            child.wait(END_S)
            found |= json.loads(result.read_text())
    known = 1e3 * np.array(ages.ages_s[begun:])
    engine.finish()
    if evidence is not None:
        evidence.close()
    if engine.failure is not None:
        raise engine.failure
    p50, p99 = np.percentile(known[np.isfinite(known)], [50, 99])
    return {"p50_ms": p50, "p99_ms": p99, "n": len(known), **found}


def start_child(session_id: str, result: Path, tree: Path) -> subprocess.Popen[bytes]:
    """The panel of a tree in a process of its own, see ``panel_child``."""
    command = [
        sys.executable,
        str(HERE / "benchmarks" / "panel_child.py"),
        session_id,
        str(result),
        os.environ[OWN],
    ]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(tree)}
    return subprocess.Popen(command, env=environment)


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """CPU time that a process and its children have taken."""
    one = psutil.Process(process.pid)
    return sum(sum(each.cpu_times()[:2]) for each in (one, *one.children(recursive=True)))


def measure_peer(python: str, stream: str, seconds: float) -> float:
    """CPU of mne-lsl's viewer on the headset, in cores. It gets our liblsl: its own saw no stream."""
    import pylsl.lib

    command = [str(Path(python).with_name("mne-lsl")), "viewer", "--stream", stream]
    environment = {key: value for key, value in os.environ.items() if key != "QT_QPA_PLATFORM"}
    environment["MNE_LSL_LIB"] = pylsl.lib.lib._name
    if OWN in environment:
        settings = Path(tempfile.mkdtemp(prefix="bci_m2s-")) / "lsl_api.cfg"
        settings.write_text(environment[OWN], encoding="utf-8")
        environment["LSLAPICFG"] = str(settings)
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        time.sleep(QUIET_S)
        begun = cpu_s(child)
        time.sleep(seconds)
        if child.poll() is not None:
            raise SystemExit(f"{command[0]} ended with status {child.returncode}")
        return (cpu_s(child) - begun) / seconds
    finally:
        child.terminate()
        child.wait(END_S)


def compare(rounds: int, seconds: float, peer: str, against: Path | None) -> None:
    """Let the ways take turns and print what came out."""
    from bci_m2s.sources.sender_process import SenderProcess, SenderSpec

    print(describe_machine())
    print(f"62 channels at 1000 Hz and 5 at 120 Hz, {rounds} rounds of {seconds:g} s each, in turn")
    trees: dict[str, Path | None] = {ALONE: None, OPEN: HERE}
    if against is not None:
        trees[f"panel of {against.name}"] = against.resolve()
    results: dict[str, list[dict[str, float]]] = {way: [] for way in trees}
    loads = [load_now()]
    with SenderProcess(SenderSpec(streams=STREAMS, simulated={"seed": 0}, wait_s=30.0)) as sender:
        ids = {key: info.source_id for key, info in zip(STREAMS, sender.infos, strict=True)}
        plan = build.pinned(build.make_plan("demo"), ids)
        predictor = build.make_predictor(plan, "cpu")
        for number in range(rounds):
            for way in trees if number % 2 else reversed(trees):
                results[way].append(run_once(plan, predictor, trees[way], seconds))
                loads.append(load_now())
        peer_cpu = measure_peer(peer, sender.infos[0].name, seconds) if peer else None
    print_results(results)
    if peer_cpu is not None:
        print(f"mne-lsl's viewer on the same headset: {100 * peer_cpu:.1f} % of a core")
    print(f"\nload {min(loads):.1f}–{max(loads):.1f} (the benchmark's own included)")
    if warning := load_warning(max(loads)):
        print(warning)


def print_results(results: dict[str, list[dict[str, float]]]) -> None:
    """Medians of the rounds, then ratios: median, lowest and highest."""
    print(f"\n{'engine, median of rounds':<26}{'p50 ms':>9}{'p99 ms':>9}{'windows':>9}")
    for way, rounds in results.items():
        p50, p99 = (np.median([one[key] for one in rounds]) for key in ("p50_ms", "p99_ms"))
        print(f"{way:<26}{p50:>9.2f}{p99:>9.2f}{int(sum(one['n'] for one in rounds)):>9}")
    cells = []
    for key in ("p50_ms", "p99_ms"):
        ratios = [b[key] / a[key] for a, b in zip(results[ALONE], results[OPEN], strict=True)]
        cells.append(f"{np.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")
    print(f"with / without the panel: age p50 {cells[0]}, age p99 {cells[1]}")
    print(
        f"\n{'panels, each round':<30}{'CPU %':>9}{'frames/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'dropped':>9}"
    )
    for way in results:
        for number, turn in enumerate(results[way] if way != ALONE else [], start=1):
            print(
                f"{way:<26}{number:>4}{100 * turn['cpu']:>9.1f}{turn['frames_hz']:>10.1f}"
                f"{turn['frame_p50_ms']:>9.1f}{turn['frame_p99_ms']:>9.1f}{int(turn['dropped']):>9}"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="What the panel takes, and what it costs the engine.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="measured in each turn")
    parser.add_argument("--against", type=Path, help="folder of another tree, to measure its panel too")
    parser.add_argument("--peer", default="", help="a Python with mne-lsl, to measure its viewer too")
    options = parser.parse_args(arguments)
    with suppress(KeyboardInterrupt), lsl_on_this_machine():
        compare(options.rounds, options.seconds, options.peer, options.against)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
