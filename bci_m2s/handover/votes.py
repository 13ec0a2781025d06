"""The model's answers to the trials of a session: one vote per trial, and what chance would have given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bci_m2s.engine.statistics import Z_95
from bci_m2s.review.facts import Answers, RecordingFacts
from bci_m2s.simulator.markers import trial_spans

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Labelled:
    """A trial with a label that counts. number : from 1; start_s, stop_s : of the session."""

    number: int
    label: str
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """One line of answers against the labels.

    classes : names; truth, vote : (n,) class numbers of the trials that have at least one estimate
    silent : trials without one, by number
    """

    line: str
    classes: tuple[str, ...]
    numbers: tuple[int, ...]
    truth: np.ndarray
    vote: np.ndarray
    silent: tuple[int, ...]

    @property
    def n_right(self) -> int:
        """Trials whose vote is their label."""
        return int(np.count_nonzero(self.truth == self.vote))

    def without(self, numbers: set[int]) -> Votes:
        """The votes without those on some trials."""
        kept = [place for place, number in enumerate(self.numbers) if number not in numbers]
        return replace(
            self,
            numbers=tuple(self.numbers[place] for place in kept),
            truth=self.truth[kept],
            vote=self.vote[kept],
            silent=tuple(number for number in self.silent if number not in numbers),
        )

    @property
    def confusion(self) -> np.ndarray:
        """(classes, classes): rows are labels, columns votes."""
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (self.truth, self.vote), 1)
        return counts

    @property
    def balanced_accuracy(self) -> float:
        """Mean share that is right of the labels that occur."""
        counts = self.confusion
        occurs = counts.sum(axis=1) > 0
        return (
            float(np.mean(np.diag(counts)[occurs] / counts.sum(axis=1)[occurs]))
            if occurs.any()
            else math.nan
        )

    @property
    def chance(self) -> float:
        """What always answering the most frequent label would give, 1 / classes at least."""
        share = np.bincount(self.truth).max() / len(self.truth) if len(self.truth) else 0.0
        return max(float(share), 1 / len(self.classes))

    @property
    def needed(self) -> int:
        """Smallest number right that chance reaches in 5 % of sessions at most; n + 1 where none does.

        Binomial over trials (Combrisson & Jerbi, J. Neurosci. Methods 250, 2015): windows of a trial share
        its state and do not count by themselves.
        """
        n, above = len(self.truth), 0.0
        for right in range(n, -1, -1):
            above += _binomial(right, n, self.chance)
            if above > ALPHA:
                return right + 1
        return 0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share right (Müller-Putz et al., Int. J. Bioelectromagn. 10, 2008)."""
        n = len(self.truth)
        share = (self.n_right + 2) / (n + 4)
        half = Z_95 * math.sqrt(share * (1 - share) / (n + 4))
        return max(0.0, share - half), min(1.0, share + half)


def _binomial(k: int, n: int, p: float) -> float:
    """Probability of exactly `k` of `n`; logarithms, so that no factor overflows. 0 < p <= 1"""
    if p >= 1:
        return float(k == n)
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def labelled_trials(facts: RecordingFacts) -> list[Labelled]:
    """Trials that count of a guided session, else from each ``trial/start/X`` to ``trial/stop/X``."""
    if guided := facts.guided_trials():
        return [
            Labelled(one.number, one.label, one.start_s, one.stop_s) for one in guided if not one.excluded
        ]
    spans = [span for span in trial_spans(facts.markers) if math.isfinite(span.stop_s)]
    return [Labelled(number, span.label, span.start_s, span.stop_s) for number, span in enumerate(spans, 1)]


def count_votes(
    lines: Iterable[tuple[str, Answers]], trials: Sequence[Labelled], window_s: float
) -> list[Votes]:
    """Votes of each line whose classes are among the labels.

    A trial's vote is the class with the largest mean probability over the windows that lie wholly in it.

    window_s : length of a window
    """
    found = []
    for name, answers in lines:
        known = [trial for trial in trials if trial.label in answers.classes]
        if not known:
            continue
        numbers, truth, vote, silent = [], [], [], []
        for trial in known:
            inside = (answers.times_s >= trial.start_s + window_s) & (answers.times_s <= trial.stop_s)
            inside &= answers.made & np.isfinite(answers.probabilities).all(axis=1)
            if not inside.any():
                silent.append(trial.number)
                continue
            numbers.append(trial.number)
            truth.append(answers.classes.index(trial.label))
            vote.append(int(np.argmax(answers.probabilities[inside].mean(axis=0))))
        found.append(
            Votes(
                name,
                answers.classes,
                tuple(numbers),
                np.array(truth, int),
                np.array(vote, int),
                tuple(silent),
            )
        )
    return found
