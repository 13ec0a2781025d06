"""Shared by all tests: LSL confined to this machine and this run, and the real recordings."""

from __future__ import annotations

import gc
import os
import re
import tempfile
import uuid
from functools import cache
from pathlib import Path

import hypothesis
import pytest
import typer.main
import typer.testing
from support import nightly

# Windows are drawn into memory, also where there is a display.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# A session that a test starts opens no panel, unless it means to: there is no display.
for _name in ("DISPLAY", "WAYLAND_DISPLAY"):
    os.environ.pop(_name, None)
os.environ.setdefault("SSH_CONNECTION", "a test")  # where a display needs no variable

# A program reads the signatures of its commands once, and so do the tests, which call hundreds.
typer.main.get_command = typer.testing._get_command = cache(typer.main.get_command)

gc.disable()  # until all tests are collected: it would look through all modules again and again


def isolate_lsl() -> tempfile.TemporaryDirectory[str]:
    """Point liblsl, here and in every child process, at a configuration of this run's own.

    liblsl reads its configuration once, at its first call, so this runs before any test module is
    imported. Machine scope keeps multicast on this host, and streams of another SessionID are
    invisible: neither a second test run nor a real headset on the network can be seen or disturbed.
    """
    folder = tempfile.TemporaryDirectory(prefix="bci_m2s-lsl-", ignore_cleanup_errors=True)
    file = Path(folder.name) / "lsl_api.cfg"
    file.write_text(
        "[multicast]\nResolveScope = machine\n"
        "[ports]\nIPv6 = disable\nPortRange = 200\n"  # a sender takes two, and 16 are soon in use
        f"[lab]\nSessionID = bci-m2s-test-{os.getpid()}-{uuid.uuid4().hex}\n"
        "[log]\nlevel = -3\n",  # fatal only: inlets report every sender that a test closes
        encoding="utf-8",
    )
    os.environ["LSLAPICFG"] = str(file)
    # where sessions say how to be reached: another run's must not be found either
    os.environ["XDG_RUNTIME_DIR"] = folder.name
    return folder


_LSL_FOLDER = isolate_lsl()  # kept until the interpreter ends


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that ``-m`` leaves nothing of, before they, and torch, are imported."""
    expression = config.option.markexpr
    if collection_path.suffix != ".py" or not expression:
        return None
    source = collection_path.read_text(encoding="utf-8")
    of_all = "".join(re.findall(r"^pytestmark = (?:\[[^\]]*\]|.*)", source, re.MULTILINE))
    unwanted = [name for name in ("live", "nightly") if f"not {name}" in expression]
    only_live = expression.startswith("live") and "mark.live" not in source
    return True if only_live or any(f"mark.{name}" in of_all for name in unwanted) else None


def pytest_configure(config: pytest.Config) -> None:
    """Say how thorough the tests are to be."""
    nightly.begin(config)
    # A busy machine is no failure, and a run that fails once must fail again.
    hypothesis.settings.register_profile(
        "steady", deadline=None, derandomize=True, max_examples=nightly.tries(50, 100)
    )
    hypothesis.settings.load_profile("steady")


def pytest_collection_finish() -> None:
    """Spare the garbage collector what torch, scipy and all test modules brought; none of it ever goes."""
    gc.freeze()  # what nobody needs any more too: to look for that took longer than it would ever save
    gc.enable()


def pytest_unconfigure() -> None:
    """Remove the LSL configuration; a TemporaryDirectory left to the collector warns."""
    _LSL_FOLDER.cleanup()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real recordings: BCI_M2S_DATA, else ``shared/data`` beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BCI_M2S_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder} (set BCI_M2S_DATA)")
    return folder
