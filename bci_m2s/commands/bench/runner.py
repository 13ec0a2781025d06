"""Runs one benchmark, in a process of its own with one thread, on LSL streams that nobody else sees."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from bci_m2s.commands.bench.benchmark import Benchmark, NotHere, Setting
from bci_m2s.commands.bench.found import files
from bci_m2s.commands.bench.machine import load_now, machine, versions
from bci_m2s.commands.bench.result import Result
from bci_m2s.errors import BciM2sError, StreamError
from bci_m2s.lsl.child import JsonChild, Message
from bci_m2s.lsl.configuration import FILE, OWN, VARIABLE

LONGEST_ROUND_S = 3600.0
END_S = 20.0  # for the processes that a benchmark started
LOG, LOG_LINES, ENDED = "log", 20, "it ended"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LSL = (
    "[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {{127.0.0.1}}\nSessionID = {}\n"
    "[ports]\nIPv6 = disable\nPortRange = 200\n[log]\nlevel = -3\n"
)


def run_benchmark(
    benchmark: Benchmark,
    rounds: int,
    settings: Mapping[str, Setting],
    peer: str,
    command: str,
    on_progress: Callable[[int, str], None],
) -> Result:
    """Run it.

    Parameters
    ----------
    rounds : how many
    settings : all of its settings
    peer : an interpreter that has mne-lsl, "" for none
    command : what was typed
    on_progress : gets how many rounds are done, and what is measured next

    Raises
    ------
    NotHere
        It cannot be run on this machine.
    BciM2sError
        It ended without its figures.
    """
    missing = benchmark.missing(peer)
    if fatal := [need for need in missing if not need.figures]:
        raise NotHere("; ".join(f"{need.what} is missing: {need.remedy}" for need in fatal))
    date, loads = datetime.now(UTC).isoformat(timespec="seconds"), [load_now()]
    found: list[dict[str, list[float]]] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bci_m2s-bench-", ignore_cleanup_errors=True) as scratch:
        spec = {"rounds": rounds, "settings": dict(settings), "peer": peer}
        with _child(benchmark.name, spec, Path(scratch)) as child:
            while "done" not in (message := _next(child, Path(scratch) / LOG)):
                if "not here" in message:
                    raise NotHere(message["not here"])
                if "note" in message:
                    notes.append(message["note"])
                elif "round" in message:
                    found.append(message["round"])
                on_progress(len(found), message.get("step", ""))
                loads.append(load_now())
            child.wait(END_S)
    said = [f"{need.what} is missing: {need.remedy}" for need in missing]
    return Result(
        benchmark.name,
        command,
        date,
        machine(),
        versions(),
        (loads[0], max(loads)),
        settings,
        found,
        notes,
        said,
    )


def _child(name: str, spec: dict[str, object], scratch: Path) -> JsonChild:
    (scratch / FILE).write_text(LSL.format(f"bci-m2s-bench-{secrets.token_hex(8)}"), encoding="utf-8")
    folder = scratch / "work"
    folder.mkdir()
    here = str(Path(__file__).resolve().parents[3])
    environment = {
        **dict.fromkeys(ONE_THREAD, "1"),
        VARIABLE: str(scratch / FILE),
        OWN: "",  # the file counts
        "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))),
        "QT_QPA_PLATFORM": "offscreen",
    }
    words = json.dumps({**spec, "folder": str(folder), "log": str(scratch / LOG)})
    module = "bci_m2s.commands.bench.child"
    return JsonChild(f"benchmark {name}", [module, str(files()[name]), words], environment)


def _next(child: JsonChild, log: Path) -> Message:
    """Its next message. Raises BciM2sError, with the end of its log where it ended without a word."""
    try:
        return child.receive(LONGEST_ROUND_S)
    except StreamError as problem:
        said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        last = "\n".join(("", *said.splitlines()[-LOG_LINES:])) if ENDED in str(problem) else ""
        raise BciM2sError(f"{problem}{last}") from None
