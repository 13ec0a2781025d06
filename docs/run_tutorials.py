"""Do what the tutorials say, block by block, in an empty folder: every block must do what its page shows.

    python docs/run_tutorials.py                 all of them
    python docs/run_tutorials.py tutorial.md     one

``bash`` is typed, ``python`` is run, ``yaml`` is saved under the name in its first line. ``text`` without
commands is what they print: decimals may differ, a name of a class too, and … stands for anything.
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
from pathlib import Path

DOCS = Path(__file__).resolve().parent
TUTORIALS = ("tutorial.md", "own-model.md")
LIMIT_S = 900.0
TYPED = re.compile("^(?:bci-m2s|python|pip) ", re.MULTILINE)  # on another day, with devices
CLASSES = "negative|neutral|positive|unknown"
LSL = """[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
PortRange = 200
[lab]
SessionID = tutorial-{}
[log]
level = -3
"""


class Wrong(Exception):
    """What a block does is not what its page says."""


def main(pages: list[str]) -> int:
    """Walk through the pages; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended before
    for page in pages or TUTORIALS:
        with tempfile.TemporaryDirectory(prefix="tutorial-") as folder:
            try:
                walk(DOCS / page, Path(folder))
            except Wrong as problem:
                print(f"\n{problem}", file=sys.stderr)
                return 1
    return 0


def walk(page: Path, folder: Path) -> None:
    """Do every block of a page. Raises Wrong at the first that fails, or prints something else."""
    beside, at = folder / "lsl", folder / "empty"
    for part in (beside, at):
        part.mkdir()
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
        seconds, cpu = time.monotonic() - began_s, cpu_s() - used_s
        print(f"{place}: {seconds:.0f} s, {cpu:.0f} s of CPU: {first}", flush=True)
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
    lines = said.splitlines()
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
        try:
            status = started.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            status = 124
        finally:
            end(started.pid)
            started.wait()
        output.seek(0)
        return status, output.read().decode(errors="replace")


def end(group: int) -> None:
    """End the processes of a group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        time.sleep(1.0)


def environment_of(beside: Path) -> dict[str, str]:
    """The commands of this Python, no display, and an LSL network of its own."""
    configuration = beside / "lsl_api.cfg"
    configuration.write_text(LSL.format(os.getpid()), encoding="utf-8")
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DISPLAY": "",
        "WAYLAND_DISPLAY": "",
        "LSLAPICFG": str(configuration),
        "XDG_RUNTIME_DIR": str(beside),
    }


def cpu_s() -> float:
    """Seconds of CPU that ended children have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
