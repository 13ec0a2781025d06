"""From the pipeline that answered so far to that of a new recording, without a pause in the answers.

A recording's pipeline begins with the recording's first sample, or the file could not be verified by
itself, and it takes seconds to settle. Meanwhile the pipeline of the run before goes on with the same
samples: what it answers is published and not recorded. What the new one makes is recorded, and published
from its first estimate on. Neither knows of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bci_m2s.pipeline.pipeline import Pipeline
from bci_m2s.types import Emit, Estimate, Event, Status

LONGEST_S = 30.0  # a pipeline that has not settled by then answers for itself
GOES_ON = (
    Status.OK,
    Status.BAD_SIGNAL,
    Status.DRIFT,
)  # anything else, and the former one has to settle as well


class Handover:
    """Decides for each line of estimates whose answers are published. One thread uses it.

    Parameters
    ----------
    former : has had every sample up to the first one of the new pipeline
    modalities : that both pipelines judge
    clock : local clock
    emit : gets an event for each line that is handed over
    """

    def __init__(
        self,
        former: Pipeline,
        modalities: Sequence[str],
        clock: Callable[[], float],
        emit: Emit,
    ) -> None:
        self.former = former
        self._clock, self._emit = clock, emit
        self._until_s = clock() + LONGEST_S
        self._is_one_line = former.chosen is not None
        self._newest = former.chosen or ""  # what the former pipeline's newest answer is made of
        self._waiting = {""} if self._is_one_line else set(modalities)

    @property
    def is_over(self) -> bool:
        """Whether the former pipeline answers nothing any more."""
        return not self._waiting

    def published(
        self, modality: str, of_former: Sequence[Estimate], made: Sequence[Estimate]
    ) -> Sequence[Estimate]:
        """What is to be published, in the order of time; `made` itself once the line is handed over.

        of_former, made : what the former pipeline and the new one made of a modality's newest samples
        """
        line = "" if self._is_one_line else modality
        if line not in self._waiting:
            return made
        since_s = self._handed_over_s(of_former, made)
        if math.isinf(since_s) and since_s > 0:
            return of_former
        self._waiting.discard(line)
        words = f"{line or 'all'}: estimates are those of the recording from here on"
        self._emit(Event("handover", words, fields={"modality": line}))
        before = [estimate for estimate in of_former if _time_s(estimate) < since_s]
        return [*before, *(estimate for estimate in made if not _time_s(estimate) < since_s)]

    def _handed_over_s(self, of_former: Sequence[Estimate], made: Sequence[Estimate]) -> float:
        """End of the first window that the new pipeline answers; infinite while there is none."""
        if self._clock() > self._until_s:
            return -math.inf
        self._newest = of_former[-1].modality if of_former else self._newest
        # where one line is made of several modalities it must not jump from one to another and back
        combinations = (
            (self._newest,) if self._is_one_line else tuple(estimate.modality for estimate in made)
        )
        able = [_time_s(one) for one in made if one.status is Status.OK and one.modality in combinations]
        lost = [_time_s(estimate) for estimate in of_former if estimate.status not in GOES_ON]
        return min([*able, *lost], default=math.inf)


def _time_s(estimate: Estimate) -> float:
    """End of the newest window in a clock that all share where that is known; -inf where there is none."""
    newest_s = max(part.stamps.last_sample_s for part in estimate.parts or (estimate,))
    times_s = (newest_s, estimate.end_s, -math.inf)
    return next(time_s for time_s in times_s if not math.isnan(time_s))
