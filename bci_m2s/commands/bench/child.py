"""The process of one benchmark: ``python -m bci_m2s.commands.bench.child FILE SPEC``.

Sends one message per round, and one per note. What libraries and its own processes print goes to a log. It
ends when its parent does.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from bci_m2s.commands.bench.benchmark import NotHere, Round, Run
from bci_m2s.commands.bench.found import load
from bci_m2s.errors import BciM2sError
from bci_m2s.lsl.child import Message, begin


def main(arguments: Sequence[str]) -> int:
    """Measure. arguments : file of the benchmark, and JSON of rounds, settings, peer, folder and log"""
    path, spec = Path(arguments[0]), json.loads(arguments[1])
    parent = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with Path(spec["log"]).open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if isinstance(sys.stdout, io.TextIOWrapper):  # else what is printed would stand behind a later error
        sys.stdout.reconfigure(line_buffering=True)

    def send(message: Message) -> None:
        print(json.dumps(message), file=parent, flush=True)

    stop = begin()
    threading.Thread(target=_end_with, args=(stop,), daemon=True).start()
    sys.path.insert(0, str(path.parent))  # parts that a benchmark keeps in a file beside it
    run = Run(
        spec["rounds"],
        spec["settings"],
        spec["peer"],
        Path(spec["folder"]),
        lambda words: send({"note": words}),
        lambda words: send({"step": words}),
    )
    send(_measure(path, run, send))
    return 0


def _measure(path: Path, run: Run, send: Callable[[Message], None]) -> Message:
    """Send every round; returns how it ended."""
    try:
        benchmark = load(path)
        declared = {figure.name for figure in benchmark.figures}
        for one in islice(benchmark.measure(run), run.rounds):
            if unknown := one.keys() - declared:
                return {"error": f"measured what it does not declare: {', '.join(sorted(unknown))}"}
            send({"round": _plain(one)})
    except NotHere as why:
        return {"not here": str(why)}
    except BciM2sError as problem:
        return {"error": str(problem)}
    return {"done": True}


def _plain(one: Round) -> dict[str, list[float]]:
    """[ours] or [ours, reference] of each figure."""
    return {
        name: [float(part) for part in (value if isinstance(value, tuple) else (value,))]
        for name, value in one.items()
    }


def _end_with(stop: threading.Event) -> None:
    """The parent is gone, or wants it to end: at once, in the middle of whatever is measured."""
    stop.wait()
    os._exit(1)  # processes of its own end with their standard input


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
