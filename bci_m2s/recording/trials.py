"""The markers of a guided session: their texts, and the trials and ratings that they say.

==================================  ==================================================================
``session/start/NAME``              the protocol begins; ``session/resume/N``: again, at trial N
``check/start``, ``check/stop``     the signal check
``trial/begin/JSON``                a trial is about to be shown: number, attempt, label, item, block
``trial/start/LABEL``               its onset, ``trial/stop/LABEL`` its end: as training reads them
``trial/end/JSON``                  number, attempt, and what is to be known of it: flags, onset spread
                                    (begin and end have ``start_s``, ``stop_s`` where an experiment program
                                    sent markers of its own instead of the two between them)
``trial/rating/N/SCALE/VALUE``      an answer of the participant about trial N
``trial/exclude/N/REASON``          the experimenter excludes trial N; ``trial/include/N`` takes it back
``break/start``, ``break/stop``     a break; likewise ``pause/…``, ``live/…``
``session/stop``                    the protocol is complete
==================================  ==================================================================

The baseline has the markers that the pipeline names. A later attempt at a number replaces those before it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bci_m2s.types import TRIAL_START, TRIAL_STOP

SESSION_START, SESSION_RESUME, SESSION_STOP = "session/start/", "session/resume/", "session/stop"
REPEATED, NOT_FINISHED = "repeated", "not finished"  # why a trial does not count
TRIAL_BEGIN, TRIAL_END = "trial/begin/", "trial/end/"
LONGEST_ITEM = 300  # characters; a marker holds no more than 1000
RATING, EXCLUDE, INCLUDE = "trial/rating/", "trial/exclude/", "trial/include/"


@dataclass(frozen=True, slots=True)
class GuidedTrial:
    """One attempt at a trial of a guided session.

    number : from 1, in the order of the protocol; attempt : from 1, more where it was repeated
    start_s, stop_s : onset and end, s, on the clock of the markers; NaN where it was not shown to its end
    item : the clip, picture or task, as the protocol names it; block : from 1
    excluded : why it does not count ("repeated", "not finished", the experimenter's reason); "" if it does
    flags : what to know of it, such as an uncertain onset
    onset_spread_s : standard deviation of the onset's estimate, s; NaN where it is not estimated
    ratings : the participant's answers by scale, as texts
    """

    number: int
    attempt: int
    label: str
    start_s: float = math.nan
    stop_s: float = math.nan
    item: str = ""
    block: int = 1
    excluded: str = ""
    flags: tuple[str, ...] = ()
    onset_spread_s: float = math.nan
    ratings: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """From onset to end, s; NaN where it was not shown to its end."""
        return self.stop_s - self.start_s


def begin_text(trial: GuidedTrial) -> str:
    """The marker before a trial; ``start_s`` is in it where it is known."""
    told = {"number": trial.number, "attempt": trial.attempt, "label": trial.label, "block": trial.block}
    told |= {"item": trial.item[:LONGEST_ITEM], **_known(start_s=trial.start_s)}
    return TRIAL_BEGIN + json.dumps(told, ensure_ascii=False)


def end_text(
    number: int,
    attempt: int,
    flags: Sequence[str] = (),
    onset_spread_s: float = math.nan,
    stop_s: float = math.nan,
) -> str:
    """The marker after a trial. stop_s : where no marker of its own says it"""
    told: dict[str, Any] = {"number": number, "attempt": attempt, "flags": list(flags)}
    told |= _known(onset_spread_s=onset_spread_s, stop_s=stop_s)
    return TRIAL_END + json.dumps(told, ensure_ascii=False)


def rating_text(number: int, scale: str, value: str) -> str:
    """The marker of an answer. scale : without a slash; value : free text is cut by whoever records it."""
    return f"{RATING}{number}/{scale}/{value}"


def is_guided(texts: Iterable[str]) -> bool:
    """Whether markers are those of a guided session."""
    return any(text.startswith((SESSION_START, SESSION_RESUME)) for text in texts)


def read_trials(events: Iterable[tuple[float, str]], text_s: float = 0.0) -> list[GuidedTrial]:
    """Every attempt at every trial, in the order of their beginnings.

    Parameters
    ----------
    events : stamp, s, and text of each marker, in the order in which they were recorded
    text_s : what to add to times that texts say, where the stamps have been put on another clock, s

    Markers that are not of this grammar, or name a trial that never began, are passed over.
    """
    trials: list[_Attempt] = []
    for time_s, text in events:
        if values := _values(text, TRIAL_BEGIN):
            trials.append(_Attempt(values, text_s))
        elif text.startswith((TRIAL_START, TRIAL_STOP)):
            if trials and not trials[-1].is_external:
                trials[-1].mark(time_s, text)
        elif values := _values(text, TRIAL_END):
            if (attempt := _newest(trials, values["number"])) is not None:
                attempt.end(values)
        elif text.startswith((RATING, EXCLUDE, INCLUDE)):
            _remark(trials, text)
    last = {trial.number: trial for trial in trials}
    return [trial.made(is_last=last[trial.number] is trial) for trial in trials]


def kept_trials(events: Iterable[tuple[float, str]]) -> list[GuidedTrial]:
    """The trials that count, each number once, in the order in which they were shown."""
    return [trial for trial in read_trials(events) if not trial.excluded]


class _Attempt:
    """A trial while its markers come."""

    def __init__(self, values: Mapping[str, Any], text_s: float) -> None:
        self._text_s = text_s
        self.number, self.attempt = values["number"], values["attempt"]
        self.label, self.item = str(values.get("label", "")), str(values.get("item", ""))
        block = values.get("block", 1)
        self.block = block if isinstance(block, int) else 1
        self.start_s = _number(values, "start_s") + text_s
        self.stop_s = self.spread_s = math.nan
        # of an experiment program, whose own markers may be among the events; the next one's comes before
        # that of this grammar
        self.is_external = math.isfinite(self.start_s)
        self.flags: tuple[str, ...] = ()
        self.excluded = ""
        self.ratings: dict[str, str] = {}

    def mark(self, time_s: float, text: str) -> None:
        """A marker of its onset or end."""
        if text == TRIAL_START + self.label:
            self.start_s = time_s
        elif text == TRIAL_STOP + self.label:
            self.stop_s = time_s

    def end(self, values: Mapping[str, Any]) -> None:
        flags = values.get("flags")
        self.flags = tuple(map(str, flags)) if isinstance(flags, list) else ()
        self.spread_s = _number(values, "onset_spread_s")
        if math.isfinite(stop_s := _number(values, "stop_s")):
            self.stop_s = stop_s + self._text_s

    def made(self, is_last: bool) -> GuidedTrial:
        excluded = self.excluded
        if not is_last:
            excluded = REPEATED
        elif not self.stop_s > self.start_s:
            excluded = excluded or NOT_FINISHED
        return GuidedTrial(
            self.number,
            self.attempt,
            self.label,
            self.start_s,
            self.stop_s,
            self.item,
            self.block,
            excluded,
            self.flags,
            self.spread_s,
            dict(self.ratings),
        )


def _remark(trials: list[_Attempt], text: str) -> None:
    """An answer, or the experimenter's word on a trial."""
    _, kind, number, *rest = text.split("/", 4)
    if not number.isdecimal():
        return
    trial = _newest(trials, int(number))
    if trial is None:
        return
    if kind == "rating" and len(rest) == 2:
        trial.ratings[rest[0]] = rest[1]
    elif kind == "exclude":
        trial.excluded = "/".join(rest) or "excluded"
    elif kind == "include":
        trial.excluded = ""


def _newest(trials: Sequence[_Attempt], number: int) -> _Attempt | None:
    return next((trial for trial in reversed(trials) if trial.number == number), None)


def _values(text: str, prefix: str) -> dict[str, Any]:
    """The JSON object of a marker with number and attempt; empty where it is something else."""
    if not text.startswith(prefix):
        return {}
    try:
        values = json.loads(text.removeprefix(prefix))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    numbers = (values.get("number"), values.get("attempt"))
    return values if all(isinstance(number, int) and 0 < number < 1e6 for number in numbers) else {}


def _known(**values: float) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items() if math.isfinite(value)}


def _number(values: Mapping[str, Any], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e15 else math.nan
