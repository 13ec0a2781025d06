"""Cases that only the long run tries: more of what the cases of every run show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

_is_long = False


def begin(config: pytest.Config) -> None:
    """Note whether this is the long run, ``python3 start.py test --all``; before tests are imported."""
    global _is_long
    _is_long = "not nightly" not in config.option.markexpr


def nightly(*cases: object) -> list[Any]:
    """Each of these only in the long run."""
    return [pytest.param(case, marks=pytest.mark.nightly) for case in cases]


def often(cases: Iterable[object], chosen: Iterable[object]) -> list[Any]:
    """All of the cases; those that are not chosen only in the long run."""
    kept = list(chosen)
    return [case if case in kept else nightly(case)[0] for case in cases]


def tries(every_run: int, long_run: int) -> int:
    """How many repetitions of one claim to try."""
    return long_run if _is_long else every_run
