"""Write the tables of docs/performance.md, from results of ``bci-m2s bench``.

    python docs/make_performance.py            # of the results in docs/performance/
    python docs/make_performance.py results    # takes those of a folder there first

Nothing of the tables is typed by hand. A benchmark without a result has its goals there all the same.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE, KEPT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance"
BEGIN, END = "<!-- made by: python docs/make_performance.py [FOLDER] -->\n", "<!-- end -->\n"
PICTURE = "growth.svg"


def page(text: str) -> str:
    """The page with the tables of what is kept between its marks."""
    from bci_m2s.commands.bench.found import load_all
    from bci_m2s.commands.bench.result import read_results
    from bci_m2s.commands.bench.table import markdown

    tables = markdown(load_all(), read_results(KEPT) if KEPT.is_dir() else {})
    if (KEPT / PICTURE).is_file():
        tables += (
            f"\n![Time and memory against channels, rate, participants and length](performance/{PICTURE})\n"
        )
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{tables}{END}{rest.partition(END)[2]}"


def main() -> None:
    """Take results where a folder is named, then write the page."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("results", nargs="?", type=Path, help="folder that `bci-m2s bench --output` wrote")
    folder = options.parse_args().results
    if folder is not None:
        KEPT.mkdir(exist_ok=True)
        for path in (*folder.glob("*.json"), *folder.glob(PICTURE)):
            shutil.copy(path, KEPT)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
