"""The tables of docs/results.md, written between the marks that the page has for them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bci_m2s.errors import UsageError
from bci_m2s.files.whole import write_whole
from bci_m2s.training.check.training_file import count
from bci_m2s.training.page import cells
from bci_m2s.training.page.found import Found
from bci_m2s.training.page.plan import PROTOCOLS, RELEASED
from bci_m2s.training.page.pooled import best_rivals
from bci_m2s.training.results.summary import Difference, Summary

MARK = re.compile(r"(<!-- made: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
TITLES = {
    "pretrained": "**M2S, aligned**",
    "majority": "majority",
    "linear": "linear",
    "cca": "CCA + linear",
    "pseudo": "pseudo-labels",
    "riemann": "Riemannian",
    "random": "random encoder",
    "supervised": "supervised encoder",
    RELEASED: "released recipe",
    "permuted": "permuted labels",
}


def fill(page: Path, made: Mapping[str, str]) -> None:
    """Replace what stands between `<!-- made: NAME -->` and `<!-- end -->` in a page.

    Raises
    ------
    UsageError
        The page has no place for some text.
    """
    text = page.read_text(encoding="utf-8")
    places = [match[2] for match in MARK.finditer(text)]
    if missing := [name for name in made if name not in places]:
        raise UsageError(f"{page}: has no line <!-- made: {missing[0]} -->")
    text = MARK.sub(
        lambda match: f"{match[1]}{made[match[2]]}\n{match[3]}" if match[2] in made else match[0], text
    )
    write_whole(page, text)


def part_text(found: Found, quick: bool) -> str:
    """The tables of a data set and a protocol: figures, differences to the rivals, and their conditions."""
    summaries, directions = found.summaries, found.directions
    seeds = len(found.seeds)
    lines = [f"### {PROTOCOLS[found.part.protocol].title}{' (quick)' if quick else ''}", ""]
    lines += [*_conditions(found), ""]
    lines += [
        f"Balanced accuracy, mean [95 % interval]; SD over people / of means of {count(seeds, 'seed')}:",
        "",
    ]
    lines += _figures(summaries, directions)
    lines += [
        "M2S less each rival on the same people [95 % interval], p after Holm's correction; bold: the "
        "best rival:",
        "",
    ]
    lines += _differences(found, directions)
    lines += [_support(found, summaries)]
    return "\n".join(lines)


def _conditions(found: Found) -> list[str]:
    return [f"- {line}" for line in found.lines]


def _figures(summaries: Sequence[Summary], directions: Sequence[str]) -> list[str]:
    rows = []
    for method in dict.fromkeys(one.method for one in summaries):
        by_direction = {one.direction: one for one in summaries if one.method == method}
        row = [_figure(by_direction[name]) if name in by_direction else "–" for name in directions]
        rows.append([TITLES.get(method, method), *row])
    return cells.table(["", *directions], rows)


def _figure(one: Summary) -> str:
    words = cells.figure(one.mean, one.low, one.high)
    if one.permutations:
        return f"{words}; {cells.p_value(float('nan') if one.p is None else one.p)}"
    return f"{words}; {cells.spread(one.sd)} / {cells.spread(one.seeds_sd)}"


def _differences(found: Found, directions: Sequence[str]) -> list[str]:
    every, best = found.differences, best_rivals(found)
    rows = []
    for rival in dict.fromkeys(one.rival for one in every):
        by_direction = {one.direction: one for one in every if one.rival == rival}
        row = [
            _difference(by_direction[name], best) if name in by_direction else "–" for name in directions
        ]
        rows.append([TITLES.get(rival, rival), *row])
    return cells.table(["less", *directions], rows)


def _difference(one: Difference, best: Mapping[str, Difference]) -> str:
    words = f"{cells.difference(one.mean, one.low, one.high)} {cells.p_value(one.p_holm)}".rstrip()
    return f"**{words}**" if best[one.direction].rival == one.rival else words


def _support(found: Found, summaries: Sequence[Summary]) -> str:
    classes = found.settings.contract.heads[found.head].classes
    words = []
    for one in summaries:
        tested = one.direction.split(" → ")[1]
        if one.method == found.method and one.direction.startswith(f"{tested} "):
            counts = ", ".join(f"{name} {n}" for name, n in zip(classes, one.support, strict=True))
            words.append(f"{tested} {one.people} people ({counts} windows)")
    permuted = [one for one in summaries if one.permutations]
    more = (
        f" Permuted labels: {permuted[0].permutations} permutations, their interval, true figure's rank."
        if permuted
        else ""
    )
    return f"Tested: {'; '.join(words)}.{more}"
