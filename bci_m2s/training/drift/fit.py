"""What a model's drift is measured by: references from training people, limits from validation people.

Windows of one person overlap and are alike, so windows are no count: the limits are quantiles over people
and blocks drawn with replacement. Draws never go beyond the furthest of a few people, so the limits are not
below the prediction limit of the next person either (Hahn 1970, J. Qual. Technol. 2). Covariances are
shrunk (Ledoit & Wolf 2004, J. Multivar. Anal. 88).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci_m2s.signal.drift import COUPLING, COURSE, DriftWatch, Reference, groups_of
from bci_m2s.types import BoolArray, FloatArray

SHARE = 0.02  # of the windows of a good person that may be beyond the limit
CONFIDENCE = 0.9  # that the share is not above it, as far as people and blocks were drawn by chance
BLOCK_S = 30.0
DRAWS = 300
NEXT_PERSON = 0.95  # of the people to come whose share of windows beyond the limit is not above SHARE
SMOOTHING_S = 2.0
WAIT_S = 2.0  # of a smoothing that begins, the first windows alone
SMALLEST = 1e-6  # of a scale or a usual distance
MEDIAN_OF_NORMAL = 0.6745  # of its absolute values, in standard deviations
RARE = 5.0  # spread over that of the middle half, above which a feature is one of rare events
SAYS_NOTHING = 1e30  # scale of a feature that is left out


@dataclass(frozen=True)
class PersonWindows:
    """Windows of one person (or of one trial, where a model is of one person), in order.

    values : (n, F), means over each window's steps, as measured, NaN where unknown
    begins : (n,) whether a window is the first after a break
    coupling : (n, K), how channels go together, likewise; None where that is not measured
    """

    values: NDArray[np.float32]
    begins: BoolArray
    coupling: NDArray[np.float32] | None = None

    def of(self, view: str) -> FloatArray:
        """What a view is about, (n, F or K)."""
        chosen = self.values
        if view == COUPLING:
            assert self.coupling is not None  # or the view is not fitted
            chosen = self.coupling
        return chosen.astype(np.float64)


def fit_reference(people: Sequence[PersonWindows], view: str, every: int) -> Reference:
    """Mean and shrunken covariance of people's windows; of the course, within people. Limits are 1.

    every : how many windows apart two do not overlap

    What few windows move, as the spread of blink durations (two blinks in a step are rare), is left out:
    its spread is that of the one training person who did it, and tells nothing of the next.
    """
    from sklearn.covariance import LedoitWolf

    every_value = [one.of(view) for one in people]
    mean = known_mean(np.array([known_mean(values) for values in every_value]))
    rows = np.concatenate(
        [(values - (known_mean(values) if view == COURSE else mean))[::every] for values in every_value]
    )
    scale = np.sqrt(known_mean(rows**2))
    tells = _tells(rows, scale)
    scale = np.where(tells, scale, SAYS_NOTHING)
    precision = np.eye(len(scale))
    if tells.any():
        standard = np.nan_to_num(rows[:, tells] / scale[tells])
        covariance = LedoitWolf(assume_centered=True).fit(standard).covariance_
        precision[np.ix_(tells, tells)] = np.linalg.inv(covariance)
    return Reference(np.zeros_like(mean) if view == COURSE else mean, scale, precision, np.ones_like(mean))


def _tells(rows: FloatArray, spread: FloatArray) -> BoolArray:
    """Which features vary in more than a few windows, (F,). rows : (n, F), centred; spread : (F,), RMS"""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that nobody has
        middle = np.nanmedian(np.abs(rows - np.nanmedian(rows, axis=0)), axis=0) / MEDIAN_OF_NORMAL
    tells: BoolArray = (spread > SMALLEST) & (spread <= RARE * np.nan_to_num(middle))
    return tells


def known_mean(rows: FloatArray) -> FloatArray:
    """Mean over rows without NaN, 0 where a column has no number. rows : (n, F)."""
    known = np.isfinite(rows)
    return np.where(known, rows, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def measured_distances(watch: DriftWatch, person: PersonWindows) -> dict[str, FloatArray]:
    """Distances of every window by view, (n, 1 + channels): of the whole, of each channel; 0 where none.

    Empty where no stretch of windows is longer than the watch waits.
    """
    rows = []
    watch.reset()
    values = person.values.astype(np.float64)
    coupling = None if person.coupling is None else person.coupling.astype(np.float64)
    for number, begins in enumerate(person.begins.tolist()):
        if begins:
            watch.reset()
        now = slice(number, number + 1)
        rows.append(watch.measure(values[now], None if coupling is None else coupling[now]))
    found = {}
    for view in dict.fromkeys(name for row in rows for name in row):
        some = next(len(row[view].channels) for row in rows if view in row)
        found[view] = np.array(
            [[row[view].whole, *row[view].channels] if view in row else np.zeros(1 + some) for row in rows]
        )
    return found


def fit_usual(distances: Sequence[FloatArray]) -> FloatArray:
    """The usual distance of each channel, (channels,). distances : (n, 1 + channels) of each person."""
    means = [rows[rows[:, 0] > 0, 1:].mean(axis=0) for rows in distances if (rows[:, 0] > 0).any()]
    usual: FloatArray = np.maximum(np.mean(means, axis=0), SMALLEST)
    return usual


def fit_limits(
    distances: Sequence[FloatArray],
    hop_s: float,
    share: float = SHARE,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> FloatArray:
    """Limits of some distances, (k,), so that at most `share` of the windows have one beyond it.

    Each distance counts in units of its own quantile; the largest decides.

    Parameters
    ----------
    distances : (n, k) of each validation person
    confidence : quantile over the draws of the limit: people and blocks are drawn with replacement
    """
    usual = np.mean([np.quantile(rows, 1.0 - share, axis=0) for rows in distances], axis=0)
    usual = np.maximum(usual, SMALLEST)
    largest = [(rows / usual).max(axis=1) for rows in distances]
    rng = np.random.default_rng(seed)
    drawn = [_draw(largest, max(1, round(BLOCK_S / hop_s)), rng) for _ in range(DRAWS)]
    factor = float(np.quantile([np.quantile(values, 1.0 - share) for values in drawn], confidence))
    factor = max(factor, _next_persons([float(np.quantile(values, 1.0 - share)) for values in largest]))
    limits: FloatArray = usual * factor
    return limits


def _next_persons(quantiles: Sequence[float]) -> float:
    """What the quantile of the next person stays below with a probability of NEXT_PERSON.

    Quantiles of people are taken as log-normal; the fewer people, the wider it is.
    """
    from scipy.stats import t

    logs = np.log([one for one in quantiles if one > 0])  # 0: too little of this person was measured
    n = len(logs)
    if n < 2:
        return 0.0
    reach = t.ppf(NEXT_PERSON, n - 1) * logs.std(ddof=1) * np.sqrt(1 + 1 / n)
    return float(np.exp(logs.mean() + reach))


def _draw(people: Sequence[FloatArray], block: int, rng: np.random.Generator) -> FloatArray:
    """Values of as many people as there are, drawn with replacement, and blocks of theirs likewise."""
    parts = []
    for number in rng.integers(len(people), size=len(people)).tolist():
        values = people[number]
        starts = rng.integers(max(1, len(values) - block + 1), size=max(1, len(values) // block))
        parts.append(values[starts[:, None] + np.arange(min(block, len(values)))].ravel())
    return np.concatenate(parts)


def with_limits(
    references: Mapping[str, Reference],
    people: Sequence[Mapping[str, FloatArray]],
    names: Sequence[str],
    channels: Sequence[str],
    hop_s: float,
    keep_usual: bool = False,
    couplings: Sequence[str] = (),
) -> dict[str, Reference]:
    """The references with usual distances and limits, from those of validation people.

    people : distances by view, see ``measured_distances``; hop_s : time between two windows
    keep_usual : of each channel what the references say. Of a few sessions it would be too small where a
        channel was quiet by chance
    couplings : names of the numbers of ``coupling``
    """
    of_feature = {
        view: _channel_of(couplings if view == COUPLING else names, channels) for view in references
    }
    views = [view for view in references if any(view in person for person in people)]
    usual = {view: fit_usual([person[view] for person in people if view in person]) for view in views}
    if keep_usual:  # the distances are in units of it
        usual = {view: np.ones_like(values) for view, values in usual.items()}
    tables = []
    for person in people:
        n = len(next(iter(person.values())))
        columns = []
        for view in views:
            rows = person.get(view, np.zeros((n, 1 + len(usual[view]))))
            columns += [rows[:, 0], (rows[:, 1:] / usual[view]).max(axis=1)]
        tables.append(np.stack(columns, axis=1))
    limits = fit_limits(tables, hop_s).reshape(-1, 2).tolist()
    return {
        view: replace(
            references[view],
            usual=references[view].usual * usual[view][of_feature[view]],
            whole=whole,
            channel=channel,
        )
        for view, (whole, channel) in zip(views, limits, strict=True)
    }


def _channel_of(names: Sequence[str], channels: Sequence[str]) -> NDArray[np.intp]:
    """Which distance each feature belongs to."""
    groups = groups_of(names, channels)
    place = {label: number for number, label in enumerate(dict.fromkeys(groups))}
    return np.array([place[group] for group in groups], dtype=np.intp)
