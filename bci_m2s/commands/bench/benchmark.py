"""What a benchmark is: one file of ``benchmarks/`` with a ``BENCHMARK``, which measures in rounds.

    BENCHMARK = Benchmark(
        name="features",  # that of the file
        question="How much faster ...?",
        minutes=1,
        figures=(Figure("against a plain loop", "ms", "a plain loop", at_least(20)),),
        measure=measure,
    )

    def measure(run: Run) -> Iterator[Round]:
        ways = prepare(run.settings)          # what is not timed
        for _ in range(run.rounds):
            yield {"against a plain loop": (ours_ms, theirs_ms)}

The file itself imports nothing heavy: that happens inside the functions, in a process of the benchmark's
own. In a round both sides take turns, so that what else the machine does moves both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

Setting = int | float | str
# By the figure's name: what it is here, and what the reference needs, where there is one.
Round = Mapping[str, float | tuple[float, float]]


class NotHere(Exception):
    """Raised by a benchmark that finds that it cannot be run on this machine; says why, in words."""


@dataclass(frozen=True)
class Goal:
    """What a figure should reach.

    is_most : at most, else at least, `value`
    of_ratio : the ratio should, else the figure itself
    """

    value: float
    is_most: bool
    of_ratio: bool = True

    def __str__(self) -> str:
        return f"{'≤' if self.is_most else '≥'} {self.value:g}"

    def is_reached(self, value: float) -> bool:
        """Whether a value is on the right side; NaN never is."""
        return value <= self.value if self.is_most else value >= self.value


def at_most(value: float, *, of_ratio: bool = True) -> Goal:
    """A goal: ours ÷ reference, or the figure itself, at most this."""
    return Goal(value, True, of_ratio)


def at_least(value: float, *, of_ratio: bool = True) -> Goal:
    """A goal: reference ÷ ours, or the figure itself, at least this."""
    return Goal(value, False, of_ratio)


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    reference : what ours is held against, in words; "" for nothing
    is_speedup : the ratio is reference ÷ ours, "times as fast", else ours ÷ reference
    """

    name: str
    unit: str
    reference: str = ""
    goal: Goal | None = None
    is_speedup: bool = False

    def ratio(self, ours: float, reference: float) -> float:
        """Of one round."""
        above, below = (reference, ours) if self.is_speedup else (ours, reference)
        return above / below if below else float("nan")


@dataclass(frozen=True)
class Need:
    """What must be there.

    what, remedy : in words
    is_met : whether it is there; gets the interpreter that ``--peer`` names, "" for none
    figures : the figures that need it; () where nothing can be measured without
    """

    what: str
    remedy: str
    is_met: Callable[[str], bool]
    figures: tuple[str, ...] = ()


def package(name: str, remedy: str, figures: tuple[str, ...] = ()) -> Need:
    """A Python package, which is looked for and not imported."""
    return Need(name, remedy, lambda _peer: find_spec(name) is not None, figures)


@dataclass(frozen=True)
class Run:
    """What a benchmark is given.

    settings : its own, as the command line changed them
    peer : an interpreter that has mne-lsl, "" for none
    folder : an empty one, removed afterwards
    note : takes a sentence that belongs to the result
    step : takes what is measured next, in a word or two, for whoever waits
    """

    rounds: int
    settings: Mapping[str, Setting]
    peer: str
    folder: Path
    note: Callable[[str], None]
    step: Callable[[str], None] = lambda _words: None

    def number(self, name: str) -> float:
        """A setting that is a number."""
        return float(self.settings[name])

    def count(self, name: str) -> int:
        """A setting that is a whole number."""
        return int(self.settings[name])


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, as it says of itself.

    minutes : about how long its usual rounds take
    settings : sizes with their usual values, for ``--set``
    draw : makes a picture (path) of the medians by figure, (ours, reference or NaN); None for no picture
    """

    name: str
    question: str
    minutes: float
    figures: tuple[Figure, ...]
    measure: Callable[[Run], Iterator[Round]]
    needs: tuple[Need, ...] = ()
    rounds: int = 5
    settings: Mapping[str, Setting] = field(default_factory=dict)
    draw: Callable[[Path, Mapping[str, tuple[float, float]]], None] | None = None

    def missing(self, peer: str) -> list[Need]:
        """What it needs and is not there."""
        return [need for need in self.needs if not need.is_met(peer)]
