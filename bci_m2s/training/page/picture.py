"""A picture of a data set: a dot per person, lines between methods."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bci_m2s.files.whole import write_whole
from bci_m2s.training.page.found import Found
from bci_m2s.training.page.plan import PROTOCOLS
from bci_m2s.training.results.summary import Row, rows_of
from bci_m2s.training.study.sections.pictures import draw_dots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("all", "few-2", "unpaired", "new-2")
WITHIN, CROSSED = ("linear", "cca", "random", "pretrained"), ("pseudo", "cca", "random", "pretrained")
LABELS = {"linear": "linear", "cca": "CCA", "random": "random", "pretrained": "M2S", "pseudo": "pseudo"}
GREY, OURS = "#808080", "#d0661f"  # both readable on white and on black
PANEL_IN = (2.1, 1.75)


def draw(path: Path, found: Mapping[str, Found], title: str) -> None:
    """Write an SVG: a row for each protocol, a column for each direction. found : by protocol"""
    import matplotlib
    from matplotlib.figure import Figure

    shown = [name for name in SHOWN if name in found] or list(found)  # others where they alone were run
    width, height = 4 * PANEL_IN[0] + 0.5, len(shown) * PANEL_IN[1] + 0.75
    with matplotlib.rc_context({"font.size": 8, "path.simplify": False}):
        figure = Figure(figsize=(width, height))
        figure.subplots_adjust(
            left=0.6 / width,
            right=1 - 0.05 / width,
            bottom=0.3 / height,
            top=1 - 0.6 / height,
            wspace=0.1,
            hspace=0.45,
        )
        figure.suptitle(title, color=GREY, fontsize=9)
        for line, protocol in enumerate(shown):
            one = found[protocol]
            rows = rows_of(one.results)
            for column, direction in enumerate(one.directions[:4]):
                axes = figure.add_subplot(len(shown), 4, line * 4 + column + 1)
                methods = WITHIN if column < 2 else CROSSED
                _panel(axes, {name: rows.get((one.head, name, direction)) for name in methods})
                axes.set_title(direction if line == 0 else "", color=GREY, fontsize=8)
                if column == 0:
                    axes.set_ylabel(PROTOCOLS[protocol].title.lower(), color=GREY, fontsize=6.5)
                else:
                    axes.set_yticklabels([])
        write_svg(figure, path)


def write_svg(figure: Figure, path: Path) -> None:
    """Write a picture, the same file each time, with places in tenths of a point: a small one."""
    import matplotlib

    drawn = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bci_m2s", "path.simplify": False}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    tenths = re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", drawn.getvalue())
    write_whole(path, re.sub(r" *\n", "\n", tenths))


def _panel(axes: Any, rows: Mapping[str, Row | None]) -> None:
    there = {name: row for name, row in rows.items() if row is not None}
    means = {
        name: dict(zip(row.people, row.grid().mean(axis=0), strict=True)) for name, row in there.items()
    }
    places = range(len(rows))
    everybody = list(dict.fromkeys(person for of_method in means.values() for person in of_method))
    lines = [[means.get(name, {}).get(person, np.nan) for name in (*rows, "")] for person in everybody]
    axes.plot([*places, np.nan] * len(lines), np.ravel(lines), color=GREY, alpha=0.6, linewidth=0.6)
    for place, name in enumerate(rows):
        if name in means:
            colour = OURS if name == "pretrained" else GREY
            values = np.array(list(means[name].values()))
            draw_dots(axes, np.full(len(values), float(place)), values, colour)
            axes.plot([place - 0.25, place + 0.25], [np.mean(values)] * 2, color=colour, linewidth=2)
    axes.set_xticks(list(places), [LABELS[name] for name in rows])
    axes.set_xlim(-0.5, len(rows) - 0.5)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.axhline(0.5, color=GREY, linewidth=0.6, linestyle=":")
    axes.tick_params(colors=GREY, labelsize=7)
    for spine in axes.spines.values():
        spine.set_color(GREY)
        spine.set_linewidth(0.5)
