"""Which estimates the valence–arousal plane shows, and where they lie in it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bci_m2s.panel.answer.plane import PlaneView
from bci_m2s.panel.client.answers import STALE_S, Answer
from bci_m2s.panel.client.facts import SessionFacts, heads_in_plane
from bci_m2s.text import modality_name
from bci_m2s.types import FloatArray, Status

SAME_WINDOW_S = 1e-3  # the heads of a window have one stamp


class PlaneFeed:
    """Feeds the plane for one session.

    heads : those whose classes have places in the plane; [] leaves it without a point
    """

    def __init__(self, plane: PlaneView, facts: SessionFacts) -> None:
        self._plane, self._facts = plane, facts
        self.heads = heads_in_plane(facts)
        self._line = ""  # that is shown
        self._answered_s: dict[str, float] = {}  # newest estimate of each line
        self._points: dict[str, tuple[float, float, float]] = {}  # newest of each head: stamp, place
        only = len(self.heads) == 1  # places of several heads' classes would stand for nothing
        plane.set_coordinates(dict(facts.coordinates[self.heads[0]]) if only else {})
        self._show_line(next(iter(facts.lines), ""))

    def take(self, line: str, answer: Answer) -> None:
        """Take an estimate of a line, or the reason why there is none.

        The first line is shown, another one while that does not answer.
        """
        if answer.head not in self.heads:
            return
        if answer.status == Status.OK:
            self._answered_s[line] = answer.stamp_s
            silent_s = answer.stamp_s - self._answered_s.get(self._line, -math.inf)
            if line in self._facts.lines[:1] or silent_s > STALE_S:
                if line != self._line:
                    self._points.clear()
                self._show_line(line)
        if line == self._line:
            self._add(answer)

    def _show_line(self, line: str) -> None:
        self._line = line
        self._plane.set_source(f"from {modality_name(line)}" if len(self._facts.lines) > 1 else "")

    def _add(self, answer: Answer) -> None:
        """Where an estimate lies; with several heads (valence, arousal) the sum of their points."""
        places, classes = self._facts.coordinates[answer.head], self._facts.heads[answer.head]
        point = mean_point(answer.probabilities, [places[name] for name in classes])
        self._points[answer.head] = (answer.stamp_s, *point)
        newest = [self._points.get(head, (math.nan,) * 3) for head in self.heads]
        if all(abs(stamp_s - answer.stamp_s) < SAME_WINDOW_S for stamp_s, _, _ in newest):
            _, valence, arousal = map(sum, zip(*newest, strict=True))
            self._plane.add(answer.stamp_s, valence, arousal)


def mean_point(
    probabilities: FloatArray | Sequence[float], coordinates: FloatArray | Sequence[Sequence[float]]
) -> tuple[float, float]:
    """The place of an estimate: the mean of its classes' places, weighted with their probabilities.

    Parameters
    ----------
    probabilities : (classes,), 0 to 1; weights, so they need not sum to 1
    coordinates : (classes, 2), valence and arousal of each class, −1 to 1

    Returns
    -------
    Valence and arousal. Both are NaN where a probability is missing or no weight is left.
    """
    shares = np.asarray(probabilities, dtype=np.float64)
    if not shares.sum() > 0:
        return math.nan, math.nan
    valence, arousal = (shares @ np.asarray(coordinates) / shares.sum()).tolist()
    return valence, arousal
