"""Make the tables and figures of docs/results.md: every training file, its rivals, and the page.

    python docs/make_results.py --quick                           # three seeds, marked as quick
    python docs/make_results.py --quick --seeds 10                # goes on from the three
    python docs/make_results.py                                   # ten seeds
    python docs/make_results.py --only stress-predict-few-2       # a part of it; the page stays as it is
    python docs/make_results.py --page                            # the page, of what there is

Ctrl-C stops it; the same command goes on with what is left.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two training files at once, each on one core

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Run what is left, then write tables, figures and, where all was run, the page."""
    from bci_m2s.errors import BciM2sError
    from bci_m2s.session.terminal.view import make_console
    from bci_m2s.training.page.command import Wishes, make_results

    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--quick", action="store_true", help="three seeds, marked as quick in every table")
    options.add_argument("--seeds", type=int, metavar="N", help="how many; default: 10, or 3 with --quick")
    options.add_argument(
        "--only", nargs="+", default=[], metavar="PART", help="a data set, or a part of one"
    )
    options.add_argument(
        "--out", type=Path, help="folder of runs and tables; default: runs/results, or runs/results-quick"
    )
    options.add_argument("--page", action="store_true", help="run nothing; write the page of what is there")
    options.add_argument(
        "--data", type=Path, help="folder with the data sets; default: as in pipelines/train"
    )
    options.add_argument("--workers", type=int, default=2, help="how many run at once")
    wanted = options.parse_args()
    console = make_console()
    usual = Path("runs") / ("results-quick" if wanted.quick else "results")
    wishes = Wishes(
        wanted.out or usual, ROOT / "pipelines" / "train", ROOT / "docs", wanted.quick, tuple(wanted.only),
        wanted.page, wanted.workers, wanted.data, wanted.seeds,
    )  # fmt: skip
    try:
        return make_results(wishes, console)
    except BciM2sError as problem:
        console.print(f"error: {problem}")
        return 2
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on with what is left.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
