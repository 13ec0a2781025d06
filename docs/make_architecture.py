"""Draw docs/architecture.svg from the imports: python docs/make_architecture.py.

The floors are those that tests/house/test_floors.py holds every import against.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "house"))

import test_floors as house  # noqa: E402

PICTURE = Path(__file__).with_name("architecture.svg")
# What each folder is for, and where its box stands: columns from 0 to 4.
WORDS = {
    "files": ("safe YAML, safe arrays, writers", 0.0),
    "lsl": ("configuration, network, formats", 1.0),
    "simulator": ("people with EEG and eyes", 2.0),
    "signal": ("filters, windows, quality, units", 3.0),
    "networks": ("torch modules", 4.0),
    "features": ("raw block to step", 3.2),
    "recording": ("XDF: write, read, recover", 0.8),
    "model": ("contract, model file, predictor", 3.5),
    "sources": ("samples in", 1.8),
    "sinks": ("results out", 0.2),
    "pipeline": ("chunk in, estimate out; no thread", 2.5),
    "engine": ("threads: who runs when", 1.2),
    "training": ("data sets, methods, results", 4.0),
    "session": ("a live session: set-up, takes", 1.5),
    "review": ("facts, verify, picture", 2.5),
    "handover": ("BIDS, FIF, CSV, the report", 3.6),
    "doctor": ("is this computer ready?", 0.0),
    "soak": ("a session under attack", 2.5),
    "panel": ("the Qt window, its own process", 1.0),
    "commands": ("the command line", 2.2),
}
EXTENSIONS = ("networks", "features", "sources", "sinks")
BAND, BOX, WIDTH = 1.0, 0.62, 0.94  # height of a floor; height and width of a box


def floors() -> list[list[str]]:
    """Folders of each floor, the lowest first; files at the package's root are left out."""
    return [[room for room in floor if room in WORDS] for floor in house.FLOORS if set(floor) & set(WORDS)]


def arrows() -> list[tuple[str, str]]:
    """Imports between folders, without those that follow from others."""
    imports: dict[str, set[str]] = {room: set() for room in WORDS}
    for module in house.FILES:
        for name in house.own_imports(module):
            above, below = house.room(module), house.room(name)
            if above in WORDS and below in WORDS and above != below:
                imports[above].add(below)
    reached: dict[str, set[str]] = {}
    for room in (room for floor in floors() for room in floor):  # what is below comes first
        reached[room] = imports[room].union(*(reached[below] for below in imports[room]))
    return sorted(
        (above, below)
        for above, direct in imports.items()
        for below in direct
        if not any(below in reached[other] for other in direct - {below})
    )


def drawn() -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Floors and arrows that the picture holds."""
    found = re.search(
        r"<dc:description>(.*?)</dc:description>", PICTURE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None, f"{PICTURE}: no description"
    content = json.loads(found[1].replace("&quot;", '"'))
    return content["floors"], [(above, below) for above, below in content["arrows"]]


def draw() -> None:
    """Write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    matplotlib.rcParams.update(
        {"svg.hashsalt": "bci_m2s", "svg.fonttype": "none", "font.family": "sans-serif"}
    )
    rows = floors()
    figure, axes = plt.subplots(figsize=(14.5, 0.95 * len(rows)))
    at: dict[str, tuple[float, float]] = {}
    for y, row in enumerate(rows):
        for room in row:
            words, x = WORDS[room]
            at[room] = (x, y * BAND)
            shape = "round,pad=0,rounding_size=0.06"
            colour = "#fff3d6" if room in EXTENSIONS else "#e8eef5"
            axes.add_patch(
                FancyBboxPatch(
                    (x - WIDTH / 2, y), WIDTH, BOX, boxstyle=shape, fc=colour, ec="#51606f", zorder=2
                )
            )
            axes.text(x, y + 0.42, f"{room}/", ha="center", va="center", weight="bold", size=11, zorder=3)
            axes.text(x, y + 0.17, words, ha="center", va="center", size=8, zorder=3)
    for above, below in arrows():
        (x0, y0), (x1, y1) = at[above], at[below]
        axes.add_patch(
            FancyArrowPatch(
                (x0, y0),
                (x1, y1 + BOX),
                arrowstyle="-|>",
                mutation_scale=9,
                color="#51606f",
                lw=0.9,
                zorder=1,
            )
        )
    axes.set(xlim=(-0.55, 4.55), ylim=(-0.1, len(rows) * BAND - 0.2))
    axes.axis("off")
    content = json.dumps({"floors": rows, "arrows": arrows()})
    figure.savefig(
        PICTURE, bbox_inches="tight", facecolor="white", metadata={"Date": None, "Description": content}
    )


if __name__ == "__main__":
    draw()
    print(f"{PICTURE}: {len(WORDS)} folders, {len(floors())} floors, {len(arrows())} arrows")
