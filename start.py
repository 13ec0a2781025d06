"""Set up and start bci_m2s on a machine that has only Python 3.11 or newer.

    python3 start.py demo         simulated headset and eye tracker, live estimates in panel or terminal
    python3 start.py test         every check that a change must pass: lint, types, tests
    python3 start.py test --all   the nightly tests too (long fuzzing, the wheel, the slowest cases)

What follows `demo` or `test` goes to `bci-m2s demo` or `pytest`. Each makes a virtual environment of its
own under ``.venvs/`` with the versions of ``constraints.txt``; later runs use it again.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 11)
MADE_OF = ("constraints.txt", "pyproject.toml", "hatch_build.py", "bci_m2s/signal/sections.c")
WHAT = {"demo": ".[bids]", "test": ".[test,docs]"}
GO_ON = """
To go on, with a headset or the simulator: {command} --help
  {command} new my-lab        from your devices to your own model
  {command} panel             watch the streams on the network
To have the command bci-m2s everywhere: pipx install .   (or: uv tool install .)"""
XDIST = ["-n", "4", "--dist", "loadfile"]
# Settings of pip, as uv calls them, which does not read pip's.
UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE",
}
# Done once, so that processes that start together do not each do it: pip would compile every file of every
# package, this compiles what is loaded (tests too), and learns the types of what is imported.
FIRST = {
    "demo": [["-c", "import torch, scipy.signal, mne, pyqtgraph, pydantic, bci_m2s.commands.cli"]],
    "test": [["-m", "pytest", "--collect-only", "-qq", "-n", "0", "-m", ""], ["-m", "mypy", "bci_m2s"]],
}


def main(arguments: list[str]) -> int:
    """Do what the first argument says; return the status of the last program that ran."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"error: Python: got {found}, expected 3.11 or newer", file=sys.stderr)
        return 2
    if not arguments or arguments[0] not in WHAT:
        print(__doc__)
        return 0 if arguments in ([], ["--help"], ["-h"]) else 2
    name, rest = arguments[0], arguments[1:]
    # Some containers forbid bytecode files: every process would compile every module again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    python = environment(name)
    if name == "demo":
        status = run([python, "-m", "bci_m2s", "demo", *rest], folder=None)  # --output is where you are
        if status == 0:
            print(GO_ON.format(command=Path(python).with_name("bci-m2s")))
        return status
    return test(python, rest)


def test(python: str, rest: list[str]) -> int:
    """Run every check, or pytest with the arguments of the caller."""
    for check in (["ruff", "check", "."], ["ruff", "format", "--check", "."]):
        if status := run([python, "-m", *check]):
            return status
    types = [python, "-m", "mypy", "bci_m2s"]
    # Forked processes share what was imported and collected; elsewhere each does it for itself.
    forked = ["-p", "support.forked_workers", "--fork", "6", "-q"]
    pytest = [python, "-m", "pytest", *(forked if sys.platform == "linux" else XDIST)]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes share the cores already
    if rest not in ([], ["--all"]):
        return run(types) or run([*pytest, *rest])
    with ThreadPoolExecutor() as beside:
        typed = beside.submit(quietly, types)
        status = run([*pytest, "-m", "" if rest else "not nightly"])
        done = typed.result()
    print("\n", *done.args[1:], flush=True)
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.flush()
    return status or done.returncode


def environment(name: str) -> str:
    """Make the virtual environment unless it is there and current; return its Python."""
    folder = ROOT / ".venvs" / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = hashlib.sha256()
    for file in MADE_OF:
        wanted.update((ROOT / file).read_bytes())
    stamp = folder / "made-from"
    if python.is_file() and stamp.is_file() and stamp.read_text() == wanted.hexdigest():
        return str(python)
    print(f"setting up {folder.relative_to(ROOT)} (once; a minute or two, mostly for torch) …", flush=True)
    try:
        venv.create(folder, clear=True, with_pip=True)
    except subprocess.CalledProcessError:  # Debian and Ubuntu pack a part of it separately
        print("error: venv: Python cannot set up pip; on Debian or Ubuntu: sudo apt install python3-venv")
        raise SystemExit(2) from None
    if status := install(str(python), WHAT[name]):
        raise SystemExit(status)
    with ThreadPoolExecutor() as beside:  # what fails here says so when it is used
        list(beside.map(quietly, ([str(python), *first] for first in FIRST[name])))
    stamp.write_text(wanted.hexdigest())
    return str(python)


def install(python: str, what: str) -> int:
    """Install the package with the versions of constraints.txt: by uv, a quarter of the time, or by pip."""
    pinned = ["--constraint", str(ROOT / "constraints.txt")]
    pip = [python, "-m", "pip"]
    quiet = ["--disable-pip-version-check", "--no-compile", "-qq", "--no-warn-conflicts"]
    if quietly([*pip, "install", *quiet, *pinned, "uv"]).returncode == 0:
        settings = quietly([*pip, "config", "list"]).stdout.decode(errors="replace")
        uv = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python]
        if quietly([*uv, *pinned, "--editable", what], as_uv(settings)).returncode == 0:
            return 0
    return run([*pip, "install", *quiet, *pinned, "--editable", what])


def as_uv(settings: str) -> dict[str, str]:
    """Return what pip is set to use (``pip config list``) as the variables of uv; those that are set stay.

    Environments share one cache, beside them: each file is there once.
    """
    wanted = {"UV_CACHE_DIR": str(ROOT / ".venvs" / "cache")}
    # pip's own variables, which come first in the list, count above its files
    for line in sorted(settings.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        if variable := UV.get(key.rpartition(".")[2]):
            wanted[variable] = value.strip().strip("'\"")
    return {name: value for name, value in wanted.items() if name not in os.environ}


def run(command: list[str], folder: Path | None = ROOT) -> int:
    """Run a program and return its status; Ctrl-C is the program's to handle."""
    child = subprocess.Popen(command, cwd=folder)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def quietly(command: list[str], more: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a program whose output is kept, with more variables than ours."""
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | (more or {}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False,
    )  # fmt: skip


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # while the environment was made; the next call makes it anew
        sys.exit(130)
