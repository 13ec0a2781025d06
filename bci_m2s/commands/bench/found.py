"""Where the benchmarks are: in ``benchmarks/``, which the wheel brings as it brings the models."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from bci_m2s.commands.bench.benchmark import Benchmark
from bci_m2s.errors import UsageError, nearest
from bci_m2s.files.shipped import folder

MARK = "\nBENCHMARK = "  # files without it are parts of others, or scripts of their own


def files() -> dict[str, Path]:
    """The file of each benchmark by its name."""
    found = sorted(folder("benchmarks").glob("*.py"))
    return {path.stem: path for path in found if MARK in path.read_text(encoding="utf-8")}


def load(path: Path) -> Benchmark:
    """The benchmark in a file, which is executed: one of ours."""
    name = f"bci_m2s_benchmark_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    found: Benchmark = module.BENCHMARK
    return found


def load_all() -> list[Benchmark]:
    """Every benchmark, by name."""
    return [load(path) for path in files().values()]


def chosen(names: list[str], every: bool) -> list[Benchmark]:
    """Those that are asked for. Raises UsageError for a name that there is none of."""
    there = files()
    for name in names:
        if name not in there:
            raise UsageError(f"benchmark {name!r}: there is none of that name{nearest(name, there)}")
    return [load(there[name]) for name in (there if every else dict.fromkeys(names))]
