"""Compiles the loop of the filters, where there is a C compiler; without one scipy's loop is used."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import sysconfig
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

SOURCE = Path("bci_m2s/signal/sections.c")
LIBRARY = SOURCE.with_name("libsections.so")
# No contraction into fused operations: filtered samples would have other bits than scipy's.
FLAGS = ["-O3", "-ffp-contract=off", "-fPIC", "-shared", "-Wno-psabi"]


class CompileSections(BuildHookInterface):
    """Puts ``libsections.so`` beside its source, and into a wheel, which is then for this platform only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling. A wheel and an editable installation get it, a source archive does not."""
        del version
        if self.target_name != "wheel":
            return
        problem = compile_sections(Path(self.root))
        if problem:
            _remove(Path(self.root) / LIBRARY)  # one of another time
            self.app.display_warning(f"filters: not compiled, scipy's loop is used: {problem}")
            return
        build_data["artifacts"].append(LIBRARY.as_posix())
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{next(platform_tags())}"


def compile_sections(root: Path) -> str:
    """Compile the source below `root`; what hindered it, in words, else an empty text."""
    if sys.platform not in ("linux", "darwin"):
        return f"not tried on {platform.system()}"
    source, library = root / SOURCE, root / LIBRARY
    unfinished = library.with_suffix(f".{os.getpid()}")  # two environments may be made at a time
    number = f"-DSOURCE={zlib.crc32(source.read_bytes())}u"
    own = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    for tried in (own, "cc"):  # Python's own compiler need not be on this machine
        try:
            command = [*shlex.split(tried), *FLAGS, number, "-o", str(unfinished), str(source)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            problem = (done.stderr.strip()[-500:] or f"status {done.returncode}") if done.returncode else ""
            if not problem:
                unfinished.replace(library)
                return ""
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            problem = str(error)
    _remove(unfinished)
    return problem


def _remove(file: Path) -> None:
    """Where it can be: of a source that is mounted to be read only, not even what is missing can."""
    with suppress(OSError):
        file.unlink()
