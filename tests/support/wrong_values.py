"""Every key of a file with values of every wrong kind, and what the error must look like."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from bci_m2s.errors import ConfigurationError
from bci_m2s.files.annotations import fields
from support.nightly import tries

WRONG = (
    "fifty",
    ["a"],
    [[1, 2], {}],
    {"a": "b"},
    None,
    True,
    math.nan,
    math.inf,
    -3,
    -2.5,
    "",
    {},
    [],
    10**30,
)
# What Python and pydantic say of values, and what nobody should read.
RAW = re.compile(
    r"Input should|not supported between|NoneType|object|argument|unpack|convert|iterable|subscript|"
    r"attribute|<class|could not|Invalid|validation error|unhashable|Traceback"
)
LINE = re.compile(r"file\.yaml:(\d+): (?P<words>[^\n]+)")

Place = tuple[Any, ...]
Load = Callable[[Path, Any, dict[Place, int]], object]


def places(values: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in a file."""
    if place:
        yield place
    items = (
        values.items()
        if isinstance(values, dict)
        else enumerate(values)
        if isinstance(values, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*place, key))


def keys_of(annotation: Any, seen: set[Any]) -> Iterator[tuple[str, str]]:
    """Class and key of every setting that a class of settings leads to."""
    if annotation in seen:
        return
    seen.add(annotation)
    for key, inner in fields(annotation).items():
        yield annotation.__name__, key
        for part in (inner, *_inside(inner)):
            yield from keys_of(part, seen)


def _inside(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        yield part
        yield from _inside(part)


def assert_all_keys(model: type[BaseModel], values: Any) -> None:
    """The file has every key of the settings, so that a new one is tried too."""
    there = {part for place in places(values) for part in place}
    missing = [name for name in keys_of(model, set()) if name[1] not in there]
    assert not missing


def assert_words(values: Any, load: Load, depth: int = 0) -> int:
    """Number of refusals, after each was looked at: one line, of the key or next to it, in our words.

    Every key gets one half of the wrong values, its neighbour the other one; in the long run each gets all.

    depth : of what holds the keys that are tried
    load : given the file's path, its values and the line of each place, refuses with ConfigurationError
    """
    path, count, before = Path("file.yaml"), 0, copy.deepcopy(values)
    load(path, copy.deepcopy(values), {})
    numbers = {found: number for number, found in enumerate(places(values), 2)}
    step = tries(2, 1)
    for number, place in enumerate(numbers):
        others = {found: line for found, line in numbers.items() if found[: len(place)] != place}
        for wrong in WRONG[number % step :: step] if len(place) > depth else ():
            inside = [place, *((*place, *inner) for inner in places(wrong))]
            lines = others | {found: line for line, found in enumerate(inside, len(numbers) + 2)}
            try:
                load(path, _changed(values, place, wrong), lines)
            except ConfigurationError as problem:
                count += 1
                _look(str(problem), place, lines)
    assert values == before  # what was not changed is shared between all that were loaded
    return count


def _changed(values: Any, place: Place, wrong: Any) -> Any:
    """The file with another value at a place; everything apart from what holds it is shared."""
    if not place:
        return copy.deepcopy(wrong)
    holder = copy.copy(values)
    holder[place[0]] = _changed(values[place[0]], place[1:], wrong)
    return holder


def _look(message: str, place: Place, lines: dict[Place, int]) -> None:
    found = LINE.fullmatch(message)
    assert found, message
    words = found["words"]
    assert not RAW.search(words), message
    assert "unknown key" in words or ("got " in words and ", expected " in words), message
    named = next(key for key, line in lines.items() if line == int(found[1]))
    known = max(0, len(place) - 2)
    assert named[:known] == place[: len(named)][:known], f"{place}: {message}"
