"""How long cells take, as those that are over tell of those that are left."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from bci_m2s.errors import UsageError
from bci_m2s.training.study.cell import Cell, read_outcome

Kind = tuple[str, ...]
SHORTEST_S = 0.01  # shares of the time passed are of something


class Costs:
    """Seconds of one core that a cell takes: its own, or the mean of its like that are over.

    Cells of the same method and data are most like it, then those of the same data, then all.
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._own: dict[Cell, float] = {}
        self._of_kind: dict[Kind, list[float]] = {}
        for cell in cells:
            self.learn(cell)

    def learn(self, cell: Cell) -> None:
        """Take up what a cell took, where it is done."""
        with suppress(UsageError):  # a damaged result is told of with the tables
            if cell not in self._own and (outcome := read_outcome(cell)):
                self._own[cell] = seconds = max(SHORTEST_S, sum(outcome.cpu_s.values()))
                for kind in _kinds(cell):
                    total = self._of_kind.setdefault(kind, [0.0, 0.0])
                    total[0] += seconds
                    total[1] += 1

    def cost_s(self, cell: Cell) -> float:
        """What a cell takes; 1 as long as none is over."""
        if cell in self._own:
            return self._own[cell]
        known = next((self._of_kind[kind] for kind in _kinds(cell) if kind in self._of_kind), [1.0, 1.0])
        return known[0] / known[1]


def _kinds(cell: Cell) -> tuple[Kind, ...]:
    return (cell.data, cell.method), (cell.data,), ()
