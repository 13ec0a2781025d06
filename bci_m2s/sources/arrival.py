"""Samples stamped on arrival, for senders whose own stamps are not of LSL's clock.

The stamps are made once, when samples are pulled, and everything behind it, the recording too, has them:
so a recording verifies, however its samples are cut into chunks. What the sender stamped is recorded
beside it.
"""

from __future__ import annotations

import math
import time

import numpy as np

from bci_m2s.signal.blocks import GAP_S
from bci_m2s.sources import Source
from bci_m2s.types import Chunk, FloatArray

SMOOTH_S = 5.0  # the clock follows changes of rate and transport this slowly
BREAK_S = 0.5  # an arrival that deviates from the clock by more begins it again: samples are missing
LARGEST_DEVIATION = 0.05  # of the sampling interval from the nominal one
BACKLOG_S = 20.0  # that is stamped as one at the beginning; the ring holds 30 s
SETTLE_S = 0.005  # the rest of a chunk follows its first sample within this


class ArrivalClock:
    """A regular clock that is steered by arrivals: causal, and of constant spacing within a pull.

    Of a pull only the newest sample is known to have just arrived. Its stamp is predicted from the sampling
    interval; of the prediction's error a share of 1 - exp(-d / ``SMOOTH_S``), for a pull of d seconds, is
    spread over the pull's samples, and the interval is corrected as in a critically damped second-order
    loop. An error above ``BREAK_S`` is no jitter: the clock begins again at that arrival, a gap.

    A shorter loss shows where the sender's own stamps step too far: if skipping that step brings the
    prediction nearer to the arrival, the clock skips it. Stamps that jitter alone move nothing. While
    samples wait that came long ago, arrivals say nothing; then a step counts where the sender's stamps have
    had none that arrivals contradict for ``SMOOTH_S``, and no sample is stamped later than it was taken.

    Parameters
    ----------
    rate_hz : nominal sampling rate; 0 for an irregular stream, whose samples are stamped with their arrival
    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._nominal_s = 1 / rate_hz if rate_hz else 0.0
        self._interval_s = self._nominal_s
        self._newest_s = self._sent_s = math.nan
        self._steady = 0  # samples since the sender's stamps last stepped and arrivals did not

    def stamp(
        self, count: int, received_s: float, more_waits: bool = False, sent_s: FloatArray | None = None
    ) -> FloatArray:
        """Return the stamps, (count,) s, of the samples that one pull gave at `received_s`.

        more_waits : whether the pull may have left samples waiting, so that these arrived earlier than now
        sent_s : (count,) s, what the sender stamped, of whatever clock; None where nothing is known
        """
        if not self._nominal_s or not count:
            return np.full(count, received_s)
        predicted_s = self._newest_s + count * self._interval_s
        error_s = received_s - predicted_s
        skipped_s = np.zeros(count)
        if sent_s is not None:
            skipped_s = self._skipped(sent_s, error_s, more_waits)
            error_s -= skipped_s[-1]
        if math.isnan(error_s) or (abs(error_s) > BREAK_S and not more_waits):
            first_s = received_s - count * self._nominal_s
            self._interval_s, self._newest_s = self._nominal_s, received_s
            return np.asarray(first_s + self._nominal_s * np.arange(1, count + 1))
        share = 0.0 if more_waits else 1 - math.exp(-count * self._nominal_s / SMOOTH_S)
        step_s = self._interval_s + share * error_s / count
        times: FloatArray = self._newest_s + step_s * np.arange(1, count + 1) + skipped_s
        self._newest_s = float(times[-1])
        limit_s = LARGEST_DEVIATION * self._nominal_s
        deviation_s = self._interval_s - self._nominal_s + share**2 / 4 * error_s / count
        self._interval_s = self._nominal_s + min(max(deviation_s, -limit_s), limit_s)
        return times

    def _skipped(self, sent_s: FloatArray, error_s: float, more_waits: bool) -> FloatArray:
        """Seconds, (count,), skipped up to each sample: steps of the sender's that explain the error.

        Where more waits, the error is what waits, so that any step within it may be a loss.
        """
        with np.errstate(invalid="ignore"):  # a sender may stamp infinity
            beyond_s = np.diff(sent_s, prepend=self._sent_s) - self._nominal_s
        self._sent_s = float(sent_s[-1])
        skipped_s = np.zeros(len(sent_s))
        done = 0
        for index in np.flatnonzero(np.abs(beyond_s) > GAP_S).tolist():  # NaN compares false
            self._steady, done = self._steady + index - done, index
            left_s = error_s - beyond_s[index]
            nearer = abs(left_s) < abs(error_s)
            if more_waits:
                nearer = left_s > -GAP_S and self._steady * self._nominal_s >= SMOOTH_S
            if beyond_s[index] > 0 and nearer:
                skipped_s[index:] += beyond_s[index]
                error_s = left_s
            else:
                self._steady = 0
        self._steady += len(sent_s) - done
        return skipped_s


class ArrivalSource(Source):
    """Another source's samples with stamps of their arrival, on the local clock.

    Parameters
    ----------
    source : live
    most_samples : what one pull of it gives at most
    """

    def __init__(self, source: Source, most_samples: int) -> None:
        self._source, self._most_samples = source, most_samples
        self.info, self.description_xml = source.info, ""
        self.finished = False
        self._clock: ArrivalClock | None = None

    def open(self) -> None:
        """Open the other source. Raises as it does."""
        self._source.open()
        self.info, self.description_xml = self._source.info, self._source.description_xml

    def pull(self, timeout_s: float) -> Chunk:
        """Return the other source's next samples, stamped."""
        parts = self._arrival(timeout_s)
        if self._clock is None:  # what waited since the source was opened ends now, not its first pull
            most = round(BACKLOG_S * self.info.rate_hz)
            while len(parts[-1]) == self._most_samples and sum(map(len, parts)) < most:
                parts += self._arrival(0.0)
        self.finished = self._source.finished
        if not len(parts[0]):
            return parts[0]
        if self._clock is None or self._clock.rate_hz != self.info.rate_hz:  # put right after `open`
            self._clock = ArrivalClock(self.info.rate_hz)
        sent_s, received_s = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("times", "received_s")
        )
        more_waits = len(parts[-1]) == self._most_samples
        times = self._clock.stamp(len(sent_s), float(received_s[-1]), more_waits, sent_s)
        return Chunk(times, np.concatenate([part.samples for part in parts]), received_s, sent_s)

    def _arrival(self, timeout_s: float) -> list[Chunk]:
        """All that came together: liblsl hands over the first sample of a chunk while it reads the rest."""
        part = self._source.pull(timeout_s)
        parts, rate_hz = [_copied(part)], self.info.rate_hz
        made = 0.0  # samples that may be new since the pull before: they are no reason to wait on
        while rate_hz and made < len(part) < self._most_samples > sum(map(len, parts)):
            time.sleep(SETTLE_S)
            part = self._source.pull(0.0)
            if len(part):
                parts.append(_copied(part))
            made = 1 + 2 * SETTLE_S * rate_hz
        return parts

    def problem(self) -> str:
        """Return what is known of the sender; whatever it stamps is no problem."""
        return self._source.problem()

    def notices(self) -> list[str]:
        """Return the other source's."""
        return self._source.notices()

    def close(self) -> None:
        """Close the other source."""
        self._source.close()


def _copied(chunk: Chunk) -> Chunk:
    """The chunk with arrays of its own, which the next pull does not overwrite."""
    return Chunk(chunk.times.copy(), chunk.samples.copy(), chunk.received_s.copy())
