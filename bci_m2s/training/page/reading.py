"""Sentences about the tables, counted from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import bci_m2s
from bci_m2s.training.check.training_file import count
from bci_m2s.training.page import cells
from bci_m2s.training.page.found import Found
from bci_m2s.training.page.overview import AIMS, RIVALS, of_protocol
from bci_m2s.training.page.plan import FULL_SEEDS, PROTOCOLS, QUICK_SEEDS, SETS, Part, seeds_of
from bci_m2s.training.page.pooled import Pooled, best_rivals, mean_difference
from bci_m2s.training.page.work import Task, seconds_of
from bci_m2s.training.results.summary import Difference
from bci_m2s.training.study.schedule import duration


class _Judged(NamedTuple):
    what: str
    is_reached: bool
    is_sure: bool


def state(found: Mapping[Part, Found], wanted: Sequence[Part], seeds: Sequence[int], quick: bool) -> str:
    """How complete the tables are, in a sentence or two."""
    words = f"{count(len(seeds), 'seed')}."
    if quick:
        fewer = "fewer windows" if len(seeds) > QUICK_SEEDS else "fewer windows and protocols"
        words = f"**Quick: {count(len(seeds), 'seed')}**, {fewer} than the full tables, and the released "
        words += "recipe for all labels alone."
    if len(seeds) < FULL_SEEDS:
        words += f" Crossed rows differ most by seed; {len(seeds)} say little of them."
    lacking = []
    for part in wanted:
        n, meant = len(found[part].seeds) if part in found else 0, len(seeds_of(part, seeds, quick))
        if n < meant:
            lacking.append(f"{part.name} ({n} of {count(meant, 'seed')})")
    if lacking:
        words += f" Not complete: {', '.join(lacking)}."
    return f"{words} Made by bci_m2s {bci_m2s.__version__}."


def reading(found: Mapping[Part, Found]) -> str:
    """What the tables say, as a list."""
    lines = [*_level(found), *_aims(found), *_together(found)]
    return "\n".join(f"- {line}" for line in lines)


def _level(found: Mapping[Part, Found]) -> list[str]:
    """Whether the method is within its interval of the best rival where all labels count."""
    below, above, n = [], [], 0
    for data, one in of_protocol(found, "all").items():
        for direction, best in best_rivals(one).items():
            n += 1
            rival = RIVALS.get(best.rival, best.rival)
            words = f"{SETS[data].title} {direction} (less {rival} {_difference(best)})"
            if best.high < 0:
                below.append(words)
            if best.low > 0:
                above.append(words)
    if not n:
        return []
    level = n - len(below) - len(above)
    words = f"All labels: level with the best rival (the interval holds 0) in {level} of {n} directions"
    words += f"; below it: {', '.join(below)}" if below else ""
    words += f"; above it: {', '.join(above)}" if above else ""
    return [f"{words}."]


def _aims(found: Mapping[Part, Found]) -> list[str]:
    """Which aims were reached in which sets."""
    judged = []
    for aim in AIMS:
        for protocol in aim.protocols:
            for data, one in of_protocol(found, protocol).items():
                got = mean_difference([one], aim.crossed, aim.rival)
                if got is not None:
                    what = f"{SETS[data].title}, {_title(protocol, aim.crossed)}, less {RIVALS[aim.rival]}"
                    judged.append(_Judged(what, got.mean >= aim.at_least, got.low >= aim.at_least))
    if not judged:
        return []
    reached = [one for one in judged if one.is_reached]
    sure = [one for one in judged if one.is_sure]
    missed = [one.what for one in judged if not one.is_reached]
    words = f"Of {len(judged)} aims in single sets {len(reached)} were reached by the mean, {len(sure)} by "
    words += "the whole interval"
    return [f"{words}. Missed: {'; '.join(missed)}." if missed else f"{words}."]


def _together(found: Mapping[Part, Found]) -> list[str]:
    """Differences to the best rival over all sets whose interval does not hold 0."""
    above: list[str] = []
    below: list[str] = []
    for protocol in PROTOCOLS:
        sets = list(of_protocol(found, protocol).values())
        for crossed in (False, True):
            got = mean_difference(sets, crossed) if len(sets) > 1 else None
            if got is not None and (got.low > 0 or got.high < 0):
                words = f"{_title(protocol, crossed)} {_difference(got)}"
                (above if got.low > 0 else below).append(words)
    if not any(len(of_protocol(found, protocol)) > 1 for protocol in PROTOCOLS):
        return []
    words = f"above 0 with its interval {_listed(above)}; below 0 {_listed(below)}"
    return [f"Sets together, less the best rival: {words}."]


def _title(protocol: str, crossed: bool) -> str:
    return f"{PROTOCOLS[protocol].title.lower()}, {'crossed' if crossed else 'within'}"


def _difference(one: Difference | Pooled) -> str:
    return cells.difference(one.mean, one.low, one.high)


def _listed(words: Sequence[str]) -> str:
    return "; ".join(words) or "nowhere"


def times(tasks: Sequence[Task]) -> str:
    """What the runs took, set by set."""
    rows, total = [], 0.0
    for data, of_data in SETS.items():
        seconds = [seconds_of(task) for task in tasks if task.part.data == data and task.is_done()]
        total += sum(seconds)
        rows.append([of_data.title, str(len(seconds)), duration(sum(seconds))])
    rows.append(["together", str(sum(int(row[1]) for row in rows)), duration(total)])
    lines = cells.table(["", "runs (a part with one seed)", "time on one core"], rows)
    return "\n".join(
        [*lines, f"So on two cores at least {duration(total / 2)}, and a few minutes for the features."]
    )
