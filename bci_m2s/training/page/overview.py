"""What was aimed at and what came of it, over all data sets, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bci_m2s.training.page import cells
from bci_m2s.training.page.found import Found
from bci_m2s.training.page.plan import PROTOCOLS, RELEASED, SETS, Part
from bci_m2s.training.page.pooled import Pooled, mean_difference


class Aim(NamedTuple):
    """crossed : or within a signal; rival : "" for the best; at_least : the difference wanted"""

    protocols: tuple[str, ...]
    crossed: bool
    rival: str
    at_least: float


FEW = ("few-2", "few-4", "new-1", "new-2", "new-4")
AIMS = (
    Aim(("all",), True, "random", 0.0),
    Aim(("all",), True, RELEASED, 0.0),
    Aim(FEW, False, "linear", 0.05),
    Aim(FEW, True, "pseudo", 0.05),
    Aim(FEW, False, "cca", 0.0),
    Aim(FEW, True, "cca", 0.0),
    Aim(("unpaired",), True, "pseudo", 0.03),
    Aim(("unpaired",), True, "cca", 0.03),
)
RIVALS = {
    "random": "the random encoder",
    "supervised": "the supervised encoder",
    "riemann": "Riemannian",
    RELEASED: "the released recipe",
    "pseudo": "pseudo-labels",
    "cca": "CCA + linear",
    "linear": "linear",
}


def best_rival_table(found: Mapping[Part, Found]) -> str:
    """The method less the best rival of each direction: each set, and all together."""
    rows = []
    for protocol in PROTOCOLS:
        sets = of_protocol(found, protocol)
        for crossed in (False, True):
            if sets:
                rows.append(
                    [f"{PROTOCOLS[protocol].title}, {_group(crossed)}", *_row(sets, crossed, "", None)]
                )
    return "\n".join(_table(rows))


def aims_table(found: Mapping[Part, Found]) -> str:
    """Each aim with its figure; bold where it was reached."""
    rows = []
    for aim in AIMS:
        for protocol in aim.protocols:
            sets = of_protocol(found, protocol)
            if sets:
                wanted = f"≥ {aim.at_least:.2f}" if aim.at_least else "≥ 0"
                title = (
                    f"{PROTOCOLS[protocol].title}, {_group(aim.crossed)}, less {RIVALS[aim.rival]} {wanted}"
                )
                rows.append([title, *_row(sets, aim.crossed, aim.rival, aim.at_least)])
    return "\n".join(_table(rows))


def of_protocol(found: Mapping[Part, Found], protocol: str) -> dict[str, Found]:
    """Each set's results of a protocol by this project's own recipe."""
    return {part.data: one for part, one in found.items() if part.protocol == protocol and not part.recipe}


def _group(crossed: bool) -> str:
    return "crossed" if crossed else "within"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    return cells.table(["", *(one.title for one in SETS.values()), "together"], rows)


def _row(sets: Mapping[str, Found], crossed: bool, rival: str, at_least: float | None) -> list[str]:
    each = [mean_difference([sets[name]], crossed, rival) if name in sets else None for name in SETS]
    together = mean_difference(list(sets.values()), crossed, rival)
    return [_cell(one, at_least) for one in (*each, together)]


def _cell(one: Pooled | None, at_least: float | None) -> str:
    """Bold where the mean is at least so much; for None, where the interval is above 0."""
    if one is None:
        return "–"
    words = cells.difference(one.mean, one.low, one.high)
    is_bold = one.low > 0 if at_least is None else one.mean >= at_least
    return f"**{words}**" if is_bold else words
