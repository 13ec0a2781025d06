"""From the clock offsets of a file to an offset for each stamp, restarts of the sender's clock included.

A *run* is a stretch of the file in which the sender's clock went on; where its computer or device starts
again, stamps begin anew, often inside the range of earlier ones. Only the order of the file tells which
stamps belong to which run: a stamp plus its run's offset must lie between the times at which the recorder
wrote down the offsets before and behind it. pyxdf's ``handle_clock_resets`` looks for the same breaks, by
the distance of stamps to the last and first measurement of two runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci_m2s.types import FloatArray

RESET_S = 1.0  # clock offsets that differ by more belong to different runs of a sender's clock
STEP_S = 0.1  # stamps that leave the usual interval by more may be a restart
SLACK_S = 1.0  # recorders write samples every half second or so
MOST_RUNS, MOST_STEPS = 64, 2000  # of a file that is no forgery
MOST_COST_S = 1e6
FOLLOWED_S = 0.005  # a drift of less over a whole run is none
CERTAIN = 4.0  # standard errors that a drift must have
LARGEST_DRIFT = 1e-3  # clocks that differ by more than 1000 ppm are no clocks: faulty measurements
BINS = 100  # of a run's measurements, for the line through them


@dataclass(frozen=True, slots=True)
class Run:
    """Samples from `first` on share a run of the sender's clock; measured : (k, 2) as in the file."""

    first: int
    measured: FloatArray

    @property
    def offset_s(self) -> float:
        """The median of its measurements."""
        return float(np.median(self.measured[:, 1]))


def clock_runs(times: FloatArray, measured: FloatArray, places: NDArray[np.intp]) -> list[Run]:
    """The runs of a sender's clock, in the order of the file, each with at least one sample.

    Parameters
    ----------
    times : (n,) stamps as recorded, s
    measured : (k, 2) when (sender's clock, s) and offset (s), in the order of the file
    places : (k,) how many samples stood in the file before each measurement; (0,) where that is not known
    """
    finite = np.isfinite(measured).all(axis=1)
    places = places[finite] if len(places) == len(measured) else np.empty(0, np.intp)
    measured = measured[finite]
    if not len(measured):
        return []
    cuts = np.flatnonzero(np.abs(np.diff(measured[:, 1])) > RESET_S) + 1
    runs = np.split(measured, cuts)
    if len(runs) == 1 or not len(times):
        return [Run(0, measured)]
    if len(runs) > MOST_RUNS:
        return [Run(0, max(runs, key=len))]
    if ((places > 0) & (places < len(times))).any():
        reach = _by_order(times, runs, places)
    else:  # of the file's order nothing is known; a single measurement beside longer runs is faulty
        runs = [run for run in runs if len(run) > 1] or runs
        reach = np.array([[run[:, 0].min(), run[:, 0].max()] for run in runs])[:, :, None]
    return _pooled(_assigned(times, runs, reach), runs)


def offsets_s(times: FloatArray, runs: list[Run]) -> FloatArray:
    """Return (n,): what to add to each stamp, s. Drift is followed where the measurements show one."""
    added = np.zeros(len(times))
    stops = [*(run.first for run in runs), len(times)][1:]
    for run, stop in zip(runs, stops, strict=True):
        added[run.first : stop] = run.offset_s + _drift_s(times[run.first : stop], run.measured)
    return added


def _by_order(times: FloatArray, runs: list[FloatArray], places: NDArray[np.intp]) -> FloatArray:
    """Lowest and highest stamp, (runs, 2, n), that each sample could have if it were of each run."""
    measured = np.concatenate(runs)
    now_s = measured.sum(axis=1)  # the recorder's clock
    length = np.concatenate([np.full(len(run), len(run)) for run in runs])
    sure = (length > 1) | ~_out_of_order(now_s)
    now_s, at, value = now_s[sure], places[sure], measured[sure, 1]
    newest = times[np.clip(at - 1, 0, len(times) - 1)] + value
    late = (now_s - newest)[(at > 0) & np.isfinite(newest)]
    late_s = float(np.median(late)) if len(late) else 0.0
    low = np.concatenate([[-np.inf], np.maximum.accumulate(now_s)])
    high = np.concatenate([np.minimum.accumulate(now_s[::-1])[::-1], [np.inf]])
    before = np.searchsorted(at, np.arange(len(times)), side="right")
    shared = np.stack([low[before] - SLACK_S, high[before] + SLACK_S]) - late_s
    return np.stack([shared - float(np.median(run[:, 1])) for run in runs])


def _out_of_order(now_s: FloatArray) -> NDArray[np.bool_]:
    """Measurements that were written at an earlier time than one before, or a later one than one behind."""
    before = np.concatenate([[-np.inf], np.maximum.accumulate(now_s)[:-1]])
    behind = np.concatenate([np.minimum.accumulate(now_s[::-1])[::-1][1:], [np.inf]])
    return np.asarray((now_s < before) | (now_s > behind))


def _assigned(times: FloatArray, runs: list[FloatArray], reach: FloatArray) -> list[tuple[int, int]]:
    """(run, first sample) of each run that has samples: the cheapest way through the file.

    A sample costs what it lies outside its run's reach, s; a change of run costs more where stamps do not
    step, and where time would run backwards.
    """
    steps_s = np.diff(times, prepend=times[0])
    usual_s = float(np.median(steps_s[np.isfinite(steps_s)])) if np.isfinite(steps_s).any() else 0.0
    off_s = np.nan_to_num(np.abs(steps_s - usual_s), nan=0.0, posinf=MOST_COST_S)
    off_s[0] = 0.0
    stepping = np.argsort(-off_s, kind="stable")[:MOST_STEPS]
    spread = np.linspace(0, len(times), min(len(times), MOST_STEPS) + 1).astype(np.intp)
    edges = np.unique(np.concatenate([stepping[off_s[stepping] > STEP_S], spread]))
    sums = []  # of each run: cost of all samples before each edge
    for low, high in reach:
        with np.errstate(invalid="ignore"):
            cost = np.maximum(np.maximum(low - times, times - high), 0.0)
        cost = np.minimum(np.nan_to_num(cost, nan=0.0, posinf=MOST_COST_S), MOST_COST_S)
        sums.append(np.concatenate([[0.0], np.cumsum(np.add.reduceat(cost, edges[:-1]))]))
    values = np.array([np.median(run[:, 1]) for run in runs])
    at = np.minimum(edges, len(times) - 1)
    step_s, jump_s = np.nan_to_num(steps_s[at]), off_s[at]
    best: list[FloatArray] = []
    came: list[list[tuple[FloatArray, NDArray[np.intp]]]] = []
    for run, total in enumerate(sums):
        ways, origin = [total], []
        for earlier in range(run):
            delta_s = values[run] - values[earlier]
            change = 0.1 / (1 + jump_s) + 0.5 * (jump_s <= STEP_S)
            change = change + np.clip(-(step_s + delta_s), 0.0, 1.0)
            change = change * float(abs(delta_s) > RESET_S)
            entering = best[earlier] + change - total
            lowest = np.minimum.accumulate(entering)
            where = np.maximum.accumulate(np.where(entering <= lowest, np.arange(len(edges)), 0))
            ways.append(lowest + total)
            origin.append((lowest, where))
        best.append(np.min(ways, axis=0))
        came.append(origin)
    return _way_back(edges, sums, best, came)


def _way_back(
    edges: NDArray[np.intp],
    sums: list[FloatArray],
    best: list[FloatArray],
    came: list[list[tuple[FloatArray, NDArray[np.intp]]]],
) -> list[tuple[int, int]]:
    run = int(np.argmin([costs[-1] for costs in best]))
    edge = len(edges) - 1
    found: list[tuple[int, int]] = []
    while True:
        ways = [sums[run][edge], *(lowest[edge] + sums[run][edge] for lowest, _ in came[run])]
        way = int(np.argmin(ways))
        if way == 0:
            return [(run, 0), *reversed(found)]
        edge = int(came[run][way - 1][1][edge])
        found.append((run, int(edges[edge])))
        run = way - 1


def _pooled(assigned: list[tuple[int, int]], runs: list[FloatArray]) -> list[Run]:
    """Runs with all of their measurements; those that a faulty one had parted are joined."""
    value = [float(np.median(run[:, 1])) for run in runs]
    joined: list[tuple[int, int]] = []
    for number, first in assigned:
        if not joined or abs(value[number] - value[joined[-1][0]]) > RESET_S:
            if joined and joined[-1][1] == first:
                joined.pop()  # it had no sample
            joined.append((number, first))
    pooled = []
    for index, (number, first) in enumerate(joined):
        stop = joined[index + 1][0] if index + 1 < len(joined) else len(runs)
        same = [
            runs[other] for other in range(number, stop) if abs(value[other] - value[number]) <= RESET_S
        ]
        pooled.append(Run(first, np.concatenate(same)))
    return pooled


def _drift_s(times: FloatArray, measured: FloatArray) -> FloatArray | float:
    """What the offset of each stamp, (n,), differs from the median, s: a line where there is a drift.

    The line goes through medians (Theil and Sen's slope), which a slow answer of the network does not move.
    """
    when, value = measured[np.argsort(measured[:, 0], kind="stable")].T
    span_s = when[-1] - when[0]
    if len(when) < 3 or not span_s > 0:
        return 0.0
    parts = np.array_split(np.arange(len(when)), min(BINS, len(when)))
    x, y = (np.array([np.median(column[part]) for part in parts]) for column in (when, value))
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] - x[first]
    known = apart > 0
    if not known.any():
        return 0.0
    slope = float(np.median((y[second] - y[first])[known] / apart[known]))
    middle_s, middle = float(np.median(when)), float(np.median(value - slope * (when - np.median(when))))
    noise_s = 1.48 * float(np.median(np.abs(value - middle - slope * (when - middle_s))))
    least_s = max(FOLLOWED_S, CERTAIN * noise_s * np.sqrt(12 / len(when)))
    if not least_s < abs(slope) * span_s or abs(slope) > LARGEST_DRIFT:
        return 0.0
    near = np.clip(np.nan_to_num(times, nan=middle_s), when[0] - span_s, when[-1] + span_s)
    return np.asarray(slope * (near - middle_s) + (middle - float(np.median(value))))
