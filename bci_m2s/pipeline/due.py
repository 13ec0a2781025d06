"""Windows that are due, and one question to the network about many of them.

A pipeline collects what is due and completes it to estimates; between the two the network judges, the
windows of one pipeline or of several in one pass. Each window gets the bits that it would get alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bci_m2s.types import FloatArray, Window

if TYPE_CHECKING:
    from bci_m2s.model.predictor import Predictor


@dataclass(slots=True, eq=False)
class Due:
    """A window whose turn it is.

    predictor : whom to ask
    features_s : when its features were there, local clock
    clock_offset_s : of the sender
    answers : of every head, (1, classes); {} where the window is not valid
    problem : why the network has no answer, None where it has
    """

    window: Window
    predictor: Predictor
    features_s: float
    clock_offset_s: float
    answers: Mapping[str, FloatArray] = field(default_factory=dict)
    problem: Exception | None = None


def judge(dues: Sequence[Due]) -> None:
    """Ask the network about windows of one modality; each gets its answers, or its own problem.

    How many are in one pass is up to ``Predictor.at_once``. Where a pass of several fails, each is asked
    about alone, so that one that cannot be answered does not take the others with it.
    """
    for part in _passes([due for due in dues if due.window.features is not None]):
        if len(part) == 1 or not _judge_together(part):
            for due in part:
                _judge_alone(due)


def _passes(dues: Sequence[Due]) -> Iterator[list[Due]]:
    """Windows that go into one pass: of one predictor, at most as many as it takes."""
    waiting: dict[int, list[Due]] = {}
    for due in dues:
        waiting.setdefault(id(due.predictor), []).append(due)
    for of_one in waiting.values():
        most = of_one[0].predictor.at_once
        yield from (of_one[begin : begin + most] for begin in range(0, len(of_one), most))


def _judge_together(dues: Sequence[Due]) -> bool:
    """Whether one pass answered all."""
    first = dues[0]
    try:
        windows = np.stack([np.asarray(due.window.features) for due in dues])
        each = first.predictor.predict_each(first.window.modality, windows)
    except Exception:  # of any kind: it comes again with the window that has it
        return False
    for due, answers in zip(dues, each, strict=True):
        due.answers = answers
    return True


def _judge_alone(due: Due) -> None:
    assert due.window.features is not None
    try:
        due.answers = due.predictor.predict_all(due.window.modality, due.window.features[None])
    except Exception as problem:  # of any kind: whoever completes the window raises it
        due.problem = problem
