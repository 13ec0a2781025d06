"""Fuzz a loader by hand: python tests/fuzz/run.py --loader xdf --count 100000 --seed 1

Each input that ends in anything but data or a refusal in one line is kept under --failures, with its
traceback beside it. The status is 1 when there is any.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.fuzz_loaders import LOADERS
from support.fuzz_runs import LONGEST_S, Failure, Outcome, run

TELL_S = 10.0
HUNG_S = 6 * LONGEST_S  # inside C code no signal is handled: then the whole process ends, with its stack


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--loader", required=True, choices=[*LOADERS, "all"])
    parser.add_argument("--count", type=int, default=100_000, help="examples for each loader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    arguments = parser.parse_args()
    names = list(LOADERS) if arguments.loader == "all" else [arguments.loader]
    failures = [one_loader(name, arguments) for name in names]
    return int(sum(failures) > 0)


def one_loader(name: str, arguments: argparse.Namespace) -> int:
    """Run one loader, print how it goes; returns the number of failures."""
    begun = told = time.monotonic()

    def progress(done: int, outcome: Outcome) -> None:
        nonlocal told
        faulthandler.dump_traceback_later(HUNG_S, exit=True)
        now = time.monotonic()
        if now - told >= TELL_S or done == arguments.count:
            told = now
            print(f"{name}: {done} of {arguments.count} examples, {done / (now - begun):.0f}/s: "
                  f"{outcome.read} read, {outcome.refused} refused, {outcome.failures} failures",
                  flush=True)  # fmt: skip

    def keep(failure: Failure) -> None:
        folder = arguments.failures / name / f"{arguments.seed}-{failure.number}"
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in {**failure.seed.files, failure.seed.name: failure.content}.items():
            (folder / file).write_bytes(content)
        (folder / "traceback.txt").write_text(failure.trace, encoding="utf-8")
        print(
            f"{name}: example {failure.number}: {failure.trace.strip().splitlines()[-1][:300]} -> {folder}"
        )

    try:
        return run(name, arguments.count, arguments.seed, keep, progress).failures
    finally:
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    sys.exit(main())
