"""Write the tables and pictures of docs/study-results.md from the folders of finished studies.

    bci-m2s study simulated                                # and the others
    python docs/make_studies.py runs/simulated runs/eegmat runs/stress-predict runs/brain-body-behaviour

A study that is not named stays on the page as it is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))


def main() -> int:
    """Read the studies, fill the page."""
    from bci_m2s.errors import BciM2sError
    from bci_m2s.training.page.studies import write_studies

    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("folders", nargs="+", type=Path, help="each of a study, with its name")
    try:
        print(write_studies(options.parse_args().folders, DOCS))
    except BciM2sError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
