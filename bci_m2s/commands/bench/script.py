"""``python benchmarks/NAME.py OPTION…`` is ``bci-m2s bench NAME OPTION…``."""

from __future__ import annotations

import sys

from bci_m2s.commands.bench.benchmark import Benchmark


def main(benchmark: Benchmark) -> None:
    """Run the command line with the options that the script got."""
    from bci_m2s.commands.cli import main as command_line

    sys.argv = ["bci-m2s", "bench", benchmark.name, *sys.argv[1:]]
    command_line()
