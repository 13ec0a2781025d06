"""Heat maps of the first method over the grid of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bci_m2s.files.html_page import Page
from bci_m2s.training.study.groups import Group
from bci_m2s.training.study.sections.pictures import surface_figure

Point = tuple[tuple[str, Any], ...]
Key = tuple[str, list[Any]]  # and its values; no key where the grid has one


def add_grid(page: Page, groups: Sequence[Group]) -> None:
    """The first method's mean over the last two keys of the grid, or the only one, for each direction."""
    gridded = [group for group in groups if group.point]
    if not gridded:
        return
    page.section("Grid")
    for group_key in dict.fromkeys(map(_of_surface, gridded)):
        of_key = [one for one in gridded if _of_surface(one) == group_key]
        down, across = _keys(of_key)
        heads = [of_head for one in of_key for of_head in one.heads]
        shown = dict.fromkeys((one.head, direction) for one in heads for direction in one.directions)
        for head, direction in shown:
            surface = _surface(of_key, head, direction, down, across)
            if not np.all(np.isnan(surface)):
                data, protocol, fixed, _ = group_key
                at = "".join(f", {name} {value}" for name, value in fixed)
                words = f"{of_key[0].main}, {data}, {protocol}{at}, {head}: {direction}, balanced accuracy"
                page.picture(surface_figure(surface, down, across), f"Heat map of {direction}", words)


def _of_surface(group: Group) -> tuple[str, str, Point, tuple[str, ...]]:
    """What groups of one heat map have in common: all but the values of the last two keys."""
    return group.data, group.protocol, group.point[:-2], tuple(name for name, _ in group.point[-2:])


def _keys(groups: Sequence[Group]) -> tuple[Key, Key]:
    values: dict[str, list[Any]] = {}
    for group in groups:
        for name, value in group.point[-2:]:
            of_name = values.setdefault(name, [])
            if value not in of_name:
                of_name.append(value)
    keys = list(values.items())
    return (keys[0], keys[1]) if len(keys) > 1 else (("", [""]), keys[0])


def _surface(groups: Sequence[Group], head: str, direction: str, down: Key, across: Key) -> Any:
    """Means (values down, values across); NaN where there is none."""
    surface = np.full((len(down[1]), len(across[1])), np.nan)
    for group in groups:
        point = dict(group.point)
        for of_head in (one for one in group.heads if one.head == head):
            one = of_head.summary(group.main, direction)
            if one is not None:
                line = down[1].index(point[down[0]]) if down[0] else 0
                surface[line, across[1].index(point[across[0]])] = one.mean
    return surface
