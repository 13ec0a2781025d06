"""Do what the tutorials say, block by block, in an empty folder: every block must do what its page shows.

    python docs/run_tutorials.py                 all of them
    python docs/run_tutorials.py tutorial.md     one

``bash`` is typed, ``python`` is run, ``yaml`` is saved under the name in its first line. ``text`` without
commands is what they print: decimals may differ, a name of a class too, or whether it is unknown, and …
stands for anything.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DOCS = Path(__file__).resolve().parent
TUTORIALS = ("tutorial.md", "own-model.md")
LIMIT_S = 900.0
RUNNING: set[int] = set()  # groups of processes
TYPED = re.compile("^(?:bci-m2s|python|pip) ", re.MULTILINE)  # on another day, with devices
CLASSES = "negative|neutral|positive"
UNKNOWN = re.compile(r"unknown \((.*?)\)")  # with the likeliest class and its probability
LSL = """[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
PortRange = 200
[lab]
SessionID = {}
[log]
level = -3
"""


class Wrong(Exception):
    """What a block does is not what its page says."""


def main(pages: list[str]) -> int:
    """Walk through the pages, beside each other because they mostly wait; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with tempfile.TemporaryDirectory(prefix="tutorials-") as folder, ThreadPoolExecutor() as beside:
        walks = [beside.submit(walk, DOCS / page, Path(folder) / page) for page in pages or TUTORIALS]
        problems = [problem for done in walks if (problem := done.exception())]
    for problem in problems:
        if not isinstance(problem, Wrong):
            raise problem
        print(f"\n{problem}", file=sys.stderr)
    print(f"tutorials: {cpu_s():.0f} s of CPU")
    return 1 if problems else 0


def cpu_s() -> float:
    """What ended children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def walk(page: Path, folder: Path) -> None:
    """Do every block of a page. Raises Wrong at the first that fails, or prints something else."""
    beside, at = folder / "lsl", folder / "empty"
    for part in (beside, at):
        part.mkdir(parents=True)
    environment = environment_of(beside)
    said = ""
    for line, kind, block in blocks(page.read_text(encoding="utf-8")):
        place, first = f"{page.name}:{line}", block.splitlines()[0]
        if kind == "text":
            if said and not TYPED.search(block) and (missing := unsaid(block, said)):
                raise Wrong(f"{place}: not printed by the block before it: {missing}\n{said[-3000:]}")
            continue
        if kind == "yaml":
            (at / first.removeprefix("# ")).write_text(block, encoding="utf-8")
            continue
        said = ""
        began_s, used_s = time.monotonic(), cpu_s()
        where = beside / "where"  # the next block begins where this one ends, as in a terminal
        command = ["bash", "-eu", "-c", f"{block}pwd >{shlex.quote(str(where))}"]
        if kind == "python":
            command = [sys.executable, "-c", block]
        status, said = done(command, at, environment)
        took = f"{time.monotonic() - began_s:.0f} s, {cpu_s() - used_s:.0f} s of CPU"  # of all pages
        print(f"{place}: {took}: {first}", flush=True)
        if status:
            raise Wrong(f"{place}: ended with status {status}\n{said[-3000:]}")
        if kind == "bash":
            at = Path(where.read_text(encoding="utf-8").strip())


def blocks(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, kind and text of each block of code that is done or compared."""
    for found in re.finditer(r"^```(bash|python|yaml|text)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield text.count("\n", 0, found.start()) + 1, found[1], found[2]


def unsaid(block: str, said: str) -> str:
    """The first line of `block` that was not printed; "" when all were."""
    lines = UNKNOWN.sub(r"\1", said).splitlines()
    for line in block.splitlines():
        pattern = re.escape(line.strip()).replace("…", ".*").replace(r"\ ", r"\s+")
        pattern = re.sub(r"\d+\\\.\d+", r"\\d+\\.\\d+", pattern)
        pattern = re.sub(rf"\b({CLASSES})\b", f"({CLASSES})", pattern)
        if not any(re.match(rf"\s*{pattern}", printed) for printed in lines):
            return line
    return ""


def done(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a program and end what it left in the background; return its status and what it printed."""
    with tempfile.TemporaryFile() as output:
        started = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        RUNNING.add(started.pid)
        try:
            status = started.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            status = 124
        finally:
            end(started.pid)
            started.wait()
            RUNNING.discard(started.pid)
        output.seek(0)
        return status, output.read().decode(errors="replace")


def stop(number: int, _frame: object) -> None:
    """Leave at once, and nothing behind."""
    for group in list(RUNNING):
        os.killpg(group, signal.SIGTERM)
    os._exit(128 + number)


def end(group: int) -> None:
    """End the processes of a group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        time.sleep(1.0)


def environment_of(beside: Path) -> dict[str, str]:
    """The commands of this Python, no display, and an LSL network of its own in `beside`."""
    configuration = beside / "lsl_api.cfg"
    configuration.write_text(LSL.format(beside.parent.parent.name + beside.parent.name), encoding="utf-8")
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DISPLAY": "",
        "WAYLAND_DISPLAY": "",
        "LSLAPICFG": str(configuration),
        "XDG_RUNTIME_DIR": str(beside),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
