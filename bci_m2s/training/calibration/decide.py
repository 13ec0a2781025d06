"""Whether a participant's own model is promoted, modality by modality, and how sure that is.

Chance is ruled out by permutations, and the base model by the gain over it on the same trials: what wins by
less than a standard error may as well lose on the person's next visit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bci_m2s.training.calibration.blocks import make_blocks, permuted
from bci_m2s.training.calibration.candidates import MEANINGS, Situation, candidates
from bci_m2s.training.calibration.figures import interval, p_value, trials_for_gain, trials_needed
from bci_m2s.training.calibration.nested import (
    Candidate,
    Nested,
    balanced,
    choose,
    n_fits,
    nested,
    standard_error,
)
from bci_m2s.types import FloatArray

Indices = NDArray[np.int64]
ALPHA = 0.02  # 200 sessions of noise then promote more than 5 % once in 400 times; at 0.05 in 42 % of times
PERMUTATIONS = 999
MOST_MORE = 500  # trials: what so many would show is too small for a number to mean anything
GAIN_ERRORS = 1.0  # standard errors by which the own model has to be better than the base model


@dataclass(frozen=True)
class Verdict:
    """What cross-validation says of one modality.

    chosen : the candidate that all trials together prefer
    accuracy, low, high : balanced accuracy of the outer loop, 95 % interval over trials
    base : that of the base model on the same trials
    gain_low, gain_high : 95 % interval of accuracy - base, trial by trial; gain_error : its standard error
    chance, high_chance : mean of the permutations, and what one in 50 of them exceeds
    p : of the permutations, the best of the modalities in each of them, the share that is as good
    each : balanced accuracy of each candidate, chosen or not
    needed : number of trials with which an effect of this size would be found; None where there is none
    needed_for_gain : the same for the gain
    trials : number of trials with windows; windows : number of these
    shares : (t,) share of each trial's windows that was right, outer loop
    """

    chosen: str
    accuracy: float
    low: float
    high: float
    base: float
    gain_low: float
    gain_high: float
    gain_error: float
    chance: float
    high_chance: float
    p: float
    each: Mapping[str, float]
    needed: int | None
    needed_for_gain: int | None
    trials: int
    windows: int
    shares: FloatArray = field(repr=False)

    @property
    def is_promoted(self) -> bool:
        """Whether this person's own model replaces the base model."""
        return self.is_above_chance and self.chosen != "base" and self.is_better

    @property
    def is_above_chance(self) -> bool:
        """Whether chance is ruled out."""
        return self.p <= ALPHA

    @property
    def gain(self) -> float:
        """Balanced accuracy above the base model's on the same trials."""
        return self.accuracy - self.base

    @property
    def is_better(self) -> bool:
        """Whether the gain is more than luck gives in five of six sessions."""
        return self.gain > GAIN_ERRORS * self.gain_error + 1e-9

    def sentence(self, modality: str) -> str:
        """The decision in one plain sentence."""
        figures = f"{self.accuracy:.2f} with {self.trials} trials"
        if self.is_promoted:
            return f"{modality}: promoted: {MEANINGS[self.chosen]}, {figures}, base model {self.base:.2f}"
        if not self.is_above_chance:
            nothing = "nothing was seen that more trials would confirm"
            more = self._more(self.needed, "an effect of this size would likely show", nothing)
            return f"{modality}: not promoted: {figures} could be chance; {more}"
        if self.needed_for_gain is None:
            return f"{modality}: not promoted: the base model as it is does as well ({self.base:.2f})"
        more = self._more(self.needed_for_gain, "a gain of this size would likely show", "")
        unclear = f"not clearly above the base model's {self.base:.2f}"
        return f"{modality}: not promoted: {figures}, {unclear}; {more}"

    def _more(self, needed: int | None, words: str, nothing: str) -> str:
        if needed is None:
            return nothing
        more = needed - self.trials
        if more > MOST_MORE:
            return f"{words} only with more than {MOST_MORE} more trials"
        return f"{words} with about {more} more trials" if more > 0 else "a few more trials may settle it"


@dataclass(frozen=True)
class Problem:
    """One modality's windows with their labels, those trials alone that have some.

    kept : (k,) numbers of these trials among all
    """

    situation: Situation
    kept: Indices


def decide(
    problems: Mapping[str, Problem],
    labels: Indices,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
    on_fit: Callable[[int, int], None] = lambda _done, _total: None,
    tried: Mapping[str, Mapping[str, Candidate]] | None = None,
) -> dict[str, Verdict]:
    """Judge each modality by nested cross-validation over blocks of trials.

    The same permutations serve all modalities, and each p counts the best modality of a permutation
    (Westfall & Young 1993): with noise in all of them, a file is made in at most ``ALPHA`` of sessions.

    Parameters
    ----------
    labels : (t,) of all trials, in the order of time, enough of each class, see ``smallest_p``
    tried : modality → candidates, see ``candidates``; made when None
    """
    blocks = make_blocks(labels)
    generator = np.random.default_rng(seed)
    sets = np.concatenate([labels[None], permuted(labels, blocks, permutations, generator)])
    n_classes = next(iter(problems.values())).situation.n_classes
    found: dict[str, tuple[Nested, FloatArray, Indices]] = {}
    if tried is None:
        tried = {name: candidates(problem.situation) for name, problem in problems.items()}
    total = sum(n_fits(len(own), blocks) for own in tried.values())
    done = 0

    def fitted() -> None:
        nonlocal done
        done += 1
        on_fit(done, total)

    for name, problem in problems.items():
        own, kept = sets[:, problem.kept], problem.kept
        result = nested(tried[name], problem.situation.trials, blocks[kept], own, n_classes, on_fit=fitted)
        found[name] = result, balanced(result.outer, own, n_classes), kept
    # relative to each modality's own permutations, so that the one with more trials does not count for more
    best = np.max(
        [(scores - scores[1:].mean()) / _spread(scores[1:]) for _, scores, _ in found.values()], axis=0
    )
    verdicts = {}
    for name, (result, scores, kept) in found.items():
        own = labels[kept]
        null, shares = scores[1:], result.outer[0]
        p = p_value(float((scores[0] - null.mean()) / _spread(null)), best[1:])
        low, high = interval(shares, own, generator)
        each = {key: float(balanced(one[0], own, n_classes)) for key, one in result.single.items()}
        gains = shares - result.single["base"][0]
        gain_low, gain_high = interval(gains, own, generator)
        chosen = int(choose(np.stack([one[0] for one in result.single.values()]), own, n_classes))
        verdicts[name] = Verdict(
            chosen=list(result.single)[chosen],
            accuracy=float(scores[0]),
            low=low,
            high=high,
            base=each["base"],
            gain_low=gain_low,
            gain_high=gain_high,
            gain_error=float(standard_error(gains, own, n_classes)),
            chance=float(null.mean()),
            high_chance=float(np.quantile(null, 1 - ALPHA)),
            p=p,
            each=each,
            needed=trials_needed(shares, own, n_classes, null, ALPHA),
            needed_for_gain=trials_for_gain(gains, own, n_classes, GAIN_ERRORS),
            trials=len(kept),
            windows=len(problems[name].situation.trials),
            shares=shares,
        )
    return verdicts


def _spread(null: FloatArray) -> float:
    return max(float(null.std()), 1e-9)
