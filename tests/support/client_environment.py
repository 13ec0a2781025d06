"""A Python with one more package of the index, for programs that bring a liblsl or a Qt of their own."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

LIMIT_S = 300.0


class ClientEnvironment:
    """A virtual environment that sees what this Python has, and in which packages are installed on top.

    The test is skipped, with pip's last line, where a package cannot be had.

    folder : where it is made; packages : of the index, with what they need; bare : without
    """

    def __init__(self, folder: Path, *packages: str, bare: tuple[str, ...] = ()) -> None:
        venv.create(folder / "venv", with_pip=False)
        name = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        self.python, self._folder = folder / "venv" / name, folder
        code = "import site; print(site.getsitepackages()[0])"
        own = Path(self.run("-c", code).strip())
        (own / "outer.pth").write_text("\n".join(site.getsitepackages()), encoding="utf-8")
        self._install(*packages)
        if bare:
            self._install("--no-deps", *bare)

    def _install(self, *wanted: str) -> None:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python))
        done = subprocess.run(
            [*pip, "install", "--quiet", *wanted],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["pip gives no reason"])[-1]
            pytest.skip(f"{' '.join(wanted)} cannot be installed: {why}")

    def start(self, *arguments: object, **settings: str) -> subprocess.Popen[str]:
        """Start this Python; what it prints can be read. settings : of its environment"""
        outer = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.Popen(
            [str(self.python), *map(str, arguments)],
            cwd=self._folder,
            env={**outer, "PYTHONDONTWRITEBYTECODE": "1", **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, **settings: str) -> str:
        """Run this Python to its end and return what it printed."""
        return printed(self.start(*arguments, **settings))

    def run_json(self, *arguments: object, **settings: str) -> Any:
        """Run it to its end and return the JSON of its last line."""
        return json.loads(self.run(*arguments, **settings).splitlines()[-1])


def printed(child: subprocess.Popen[str]) -> str:
    """Wait for the end of a child, which must be a good one, and return what it printed."""
    try:
        out, err = child.communicate(timeout=LIMIT_S)
    finally:
        child.kill()
    assert child.returncode == 0, out + err
    return out


def older_peer_settings(folder: Path) -> dict[str, str]:
    """``LSLAPICFG`` for a program with liblsl 1.17 or older, in the same LSL session as this process.

    Its question with machine scope is heard by one of the outlets of this machine only, so it has to be
    told to ask the loopback address port by port (docs/safety.md).
    """
    text = Path(os.environ["LSLAPICFG"]).read_text(encoding="utf-8")
    path = folder / "older-peer.cfg"
    path.write_text(text.replace("[lab]\n", "[lab]\nKnownPeers = {127.0.0.1}\n"), encoding="utf-8")
    return {"LSLAPICFG": str(path)}
