"""How far a window's features are from those that a model was trained on, and which channels drive it.

A window's steps are averaged, and the averages are smoothed over time (a multivariate EWMA chart: Lowry et
al. 1992, Technometrics 34). What comes out is held against a *reference* in one or more *views*: the
``profile`` over channels and bands against that of the training people; its ``course``, against what it has
been so far in this session, by how people vary within a session; ``own``, against the person's
calibration; and ``coupling``, how channels go together, against the training people. Each view gives two
distances, both squared Mahalanobis distances per feature: of the *whole* vector, which a new reference or a
swapped hemisphere moves, and of each channel (of coupling: each of its numbers) given all others,
y_c − E(y_c | others), which finds an electrode that fits its neighbours no longer. The largest of all, each
as a share of its limit, is the drift.

Features that a window lacks take their expectation given the others, so that they say nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import BoolArray, FloatArray

END_BELOW = 0.9  # of the limit: below it a drift is over, so that it does not flicker
LAG_S = 10.0  # a window is part of the session's past after this, unless there is a drift by then
PAST_S = 10.0  # of it are needed for the course
MOST_NAMED = 3  # channels in words
BAND_SHARE = 0.25  # of a channel's largest squared residual, from which a band is named too
COURSE, COUPLING = "course", "coupling"


@dataclass(frozen=True)
class Reference:
    """What a view is held against. F is the number of features; of ``coupling`` its own.

    mean, scale : (F,); the features are (x − mean) / scale from here on. The mean of the course is not used
    precision : (F, F), the inverse of their covariance
    usual : (F,), the usual distance of the channel that a feature belongs to, squared and per feature
    whole, channel : limits of the two distances, that of a channel in units of its usual one
    """

    mean: FloatArray
    scale: FloatArray
    precision: FloatArray
    usual: FloatArray
    whole: float = 1.0
    channel: float = 1.0


@dataclass(frozen=True, slots=True)
class Distance:
    """A window's distances in one view.

    whole : of all features, squared and per feature; channels : (channels,) of each given the others, in
    units of its usual one; pull : (F,) precision · y; share : the largest as a share of its limit
    """

    whole: float
    channels: FloatArray
    pull: FloatArray
    share: float


@dataclass(frozen=True, slots=True)
class Drift:
    """What a window's drift is.

    distance : as a share of the limit; NaN where nothing is known
    is_beyond : whether the limit was passed, and the distance has not come back clearly since
    drivers : channels and bands that drive it, in words, while it is beyond; "" otherwise
    """

    distance: float = math.nan
    is_beyond: bool = False
    drivers: str = ""


NO_DRIFT = Drift()


def groups_of(names: Sequence[str], channels: Sequence[str]) -> tuple[str, ...]:
    """The channel that each feature belongs to; a feature of no single channel is by itself.

    names : "T7.alpha", "pupil_x_mean" …, (F,)
    """
    known = set(channels)
    return tuple(head if (head := name.rpartition(".")[0]) in known else name for name in names)


class _View:
    """One reference, ready to measure distances from it."""

    def __init__(self, reference: Reference, names: Sequence[str], groups: Sequence[str]) -> None:
        self._reference, self._names = reference, names
        self._precision = np.ascontiguousarray(reference.precision, dtype=np.float64)
        self._variances: FloatArray = 1.0 / np.diag(self._precision)  # of each feature given all others
        self._labels = tuple(dict.fromkeys(groups))
        place = {label: number for number, label in enumerate(self._labels)}
        self._of = np.array([place[group] for group in groups], dtype=np.intp)
        self._members = [np.flatnonzero(self._of == number) for number in range(len(self._labels))]
        self._usual = np.array([reference.usual[members[0]] for members in self._members])
        self._inverses = self._blocks()
        self._mask: BoolArray | None = None  # the last one, and what fills it
        self._filling: FloatArray = np.empty((0, 0))

    def _blocks(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]]:
        """By size of a channel's block: channels, their features, their covariances given all others."""
        sizes = np.array([len(members) for members in self._members])
        blocks = []
        for size in np.unique(sizes).tolist():
            channels = np.flatnonzero(sizes == size)
            features = np.array([self._members[channel] for channel in channels])
            inner = self._precision[features[:, :, None], features[:, None, :]]
            blocks.append((channels, features, np.linalg.inv(inner)))
        return blocks

    def distance(self, values: FloatArray, mean: FloatArray | None = None) -> Distance:
        """How far features are from the reference. values : (F,), NaN where unknown; mean : another one."""
        known = np.isfinite(values if mean is None else values - mean)
        centred = (values - (self._reference.mean if mean is None else mean)) / self._reference.scale
        if not known.all():
            centred[~known] = self._told_by(known) @ centred[known]
        return self._measured(centred, int(known.sum()))

    def _told_by(self, known: BoolArray) -> FloatArray:
        """What makes the expectation of the unknown features from the known ones."""
        if self._mask is None or not np.array_equal(self._mask, known):
            unknown = -self._precision[~known]
            self._filling = np.linalg.solve(-unknown[:, ~known], unknown[:, known]).astype(np.float64)
            self._mask = known
        return self._filling

    def _measured(self, centred: FloatArray, n_known: int) -> Distance:
        pull = np.einsum("fg,g->f", self._precision, centred)  # not BLAS: the same bits with any threads
        channels = np.empty(len(self._labels))
        for numbers, features, covariances in self._inverses:
            parts = pull[features]
            channels[numbers] = np.einsum("cb,cbd,cd->c", parts, covariances, parts) / features.shape[1]
        channels /= self._usual
        whole = float(np.einsum("f,f->", pull, centred)) / max(n_known, 1)
        share = max(whole / self._reference.whole, float(channels.max()) / self._reference.channel)
        return Distance(whole, channels, pull, share)

    def words(self, distance: Distance) -> str:
        """The channels that are furthest from what the others say, with their bands."""
        order = np.argsort(-distance.channels, kind="stable")
        beyond = int((distance.channels > self._reference.channel).sum())
        named = order[: min(max(beyond, 1), MOST_NAMED)].tolist()
        more = f"; and {beyond - len(named)} more" if beyond > len(named) else ""
        return "; ".join(self._channel(number, distance.pull) for number in named) + more

    def _channel(self, number: int, pull: FloatArray) -> str:
        label, members = self._labels[number], self._members[number]
        if len(members) == 1 and self._names[members[0]] == label:
            return label
        squared = pull[members] ** 2 * self._variances[members]
        bands = [
            self._names[feature].removeprefix(f"{label}.")
            for feature, size in zip(members.tolist(), squared.tolist(), strict=True)
            if size >= BAND_SHARE * squared.max()
        ]
        return f"{label} {', '.join(bands)}"


class _Smoother:
    """EWMA of each of n numbers, window by window.

    One that was unknown begins anew with its first value, which alone is as noisy as a window is: for
    `wait_n` windows it stays unknown.
    """

    def __init__(self, n: int, weight: float, wait_n: int) -> None:
        self._weight, self._wait_n = weight, wait_n
        self._smooth, self._known_n = np.full(n, math.nan), np.zeros(n, dtype=np.int64)

    def push(self, values: FloatArray) -> FloatArray:
        """Take the next window's, NaN where unknown; the smoothed ones, likewise. values : (n,)"""
        before = np.where(np.isfinite(self._smooth), self._smooth, values)
        self._smooth = before + self._weight * (values - before)
        self._known_n = (self._known_n + 1) * np.isfinite(values)
        return np.where(self._known_n > self._wait_n, self._smooth, math.nan)


class DriftWatch:
    """Follows the drift of one modality, window by window. One thread feeds it.

    Parameters
    ----------
    references : by view
    names : of the F features, in the order of the windows
    channels : labels of the model's channels
    smoothing_s : time constant of the EWMA; hop_s : time between two windows
    couplings : names of the K numbers of ``coupling``; () where it is not measured
    wait_s : so long after a reset there is no drift, for little has been smoothed yet; so long a feature
        that was unknown says nothing
    """

    def __init__(
        self,
        references: Mapping[str, Reference],
        names: Sequence[str],
        channels: Sequence[str],
        smoothing_s: float,
        hop_s: float,
        couplings: Sequence[str] = (),
        wait_s: float = 0.0,
    ) -> None:
        self._views = {}
        for view, reference in references.items():
            some = couplings if view == COUPLING else names
            self._views[view] = _View(reference, some, groups_of(some, channels))
        self._weight = 1.0 - math.exp(-hop_s / smoothing_s) if smoothing_s > 0 else 1.0
        self._lag_n, self._least_n = round(LAG_S / hop_s), max(1, round(PAST_S / hop_s))
        self._n_features, self._n_couplings = len(names), len(couplings)
        self._wait_n = round(wait_s / hop_s)
        self.reset()

    def reset(self) -> None:
        """Forget what was: another segment or another baseline begins."""
        self._features = _Smoother(self._n_features, self._weight, self._wait_n)
        self._couplings = _Smoother(self._n_couplings, self._weight, self._wait_n)
        self._smooth_coupling = np.full(self._n_couplings, math.nan)
        self._waiting: deque[FloatArray] = deque()  # too new for the past
        self._past, self._past_n = np.zeros(self._n_features), np.zeros(self._n_features)
        self._past_windows, self._left_n = 0, self._wait_n
        self.newest = NO_DRIFT

    def push(self, window: FloatArray, coupling: FloatArray | None = None) -> Drift:
        """Take the next valid window; return its drift.

        window : (T, F) as measured, before any normalisation, NaN where unknown; coupling : (T, K) likewise
        """
        found = self.measure(window, coupling)
        if not found:
            return self.newest
        view, distance = max(found.items(), key=lambda item: item[1].share)
        is_beyond = distance.share > (END_BELOW if self.newest.is_beyond else 1.0)
        words = self._views[view].words(distance) if is_beyond else ""
        self.newest = Drift(distance.share, is_beyond, words)
        return self.newest

    def measure(self, window: FloatArray, coupling: FloatArray | None = None) -> dict[str, Distance]:
        """Take the next valid window as ``push`` does; return its distances in every view that has one."""
        values = mean_over_steps(window)
        smooth = self._features.push(values)
        self._remember(values)
        if coupling is not None and self._n_couplings:
            self._smooth_coupling = self._couplings.push(mean_over_steps(coupling))
        if self._left_n > 0:
            self._left_n -= 1
            return {}
        found = {}
        for name, view in self._views.items():
            if name == COUPLING:
                found[name] = view.distance(self._smooth_coupling)
            elif name != COURSE:
                found[name] = view.distance(smooth)
            elif self._past_windows >= self._least_n:
                past = np.where(self._past_n > 0, self._past / np.maximum(self._past_n, 1), math.nan)
                found[name] = view.distance(smooth, past)
        return found

    def _remember(self, values: FloatArray) -> None:
        """What was a while ago becomes part of the past, but for what came before a drift was noticed."""
        self._waiting.append(values)
        if len(self._waiting) <= self._lag_n:
            return
        old = self._waiting.popleft()
        if not self.newest.is_beyond:
            known = np.isfinite(old)
            self._past += np.where(known, old, 0.0)
            self._past_n += known
            self._past_windows += 1


def mean_over_steps(window: FloatArray) -> FloatArray:
    """(T, F) → (F,), the mean of the known steps of each feature; NaN where none is known."""
    known = np.isfinite(window)
    if known.all():
        return window.sum(axis=0) / len(window)  # what ``mean`` does, without its overhead
    n = known.sum(axis=0)
    total = np.where(known, window, 0.0).sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), math.nan)
