"""A session in all of its takes: each trial counted once, whichever take shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bci_m2s.errors import RecordingError
from bci_m2s.handover.summary import Ages, Summary, summarise
from bci_m2s.handover.votes import Labelled, Votes
from bci_m2s.recording.file_names import recordings_in, take_number
from bci_m2s.recording.recorded import open_recording
from bci_m2s.recording.trials import REPEATED, GuidedTrial
from bci_m2s.review.facts import RecordingFacts, recording_facts


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """A session's takes in their order; unread : what is to be said of those that cannot be read."""

    takes: tuple[Summary, ...]
    unread: tuple[str, ...] = ()

    @property
    def trials(self) -> list[GuidedTrial]:
        """Every attempt at a trial, of all takes."""
        return [trial for take in self.takes for trial in take.trials]

    @property
    def labelled(self) -> list[Labelled]:
        """The trials that count, of all takes."""
        return [trial for take in self.takes for trial in take.labelled]

    @property
    def votes(self) -> list[Votes]:
        """Votes of each line on the trials of all takes."""
        lines: dict[tuple[str, tuple[str, ...]], list[Votes]] = {}
        for votes in (votes for take in self.takes for votes in take.votes):
            lines.setdefault((votes.line, votes.classes), []).append(votes)
        return [_joined(several) for several in lines.values()]

    @property
    def ages(self) -> Ages | None:
        """Of the estimates of all takes, None where nothing is known of any."""
        known = [take.ages for take in self.takes if take.ages is not None]
        if not known:
            return None
        stages = {
            stage: np.concatenate([ages.stages_ms[stage] for ages in known]) for stage in known[0].stages_ms
        }
        return Ages(np.concatenate([ages.published_s for ages in known]), stages)

    @property
    def simulated(self) -> tuple[str, ...]:
        """What of the session is simulated: "model", "signals"."""
        return tuple(dict.fromkeys(what for take in self.takes for what in take.facts.simulated))

    @property
    def models(self) -> list[Summary]:
        """A take for each model that ran, by its checksum."""
        by_model: dict[str, Summary] = {}
        for take in self.takes:
            session = take.facts.session
            if session is not None and session.model is not None:
                by_model.setdefault(session.model.sha256, take)
        return list(by_model.values())

    @property
    def length_s(self) -> float:
        """Of all takes together."""
        return sum(take.facts.end_s for take in self.takes)


def read_whole(session: Path, progress: Callable[[str], None] = lambda _what: None) -> Whole:
    """Read all takes of a session's folder, or the one recording that is meant.

    progress : called with what is being done

    Raises
    ------
    RecordingError
        No recording can be read.
    """
    found: list[RecordingFacts] = []
    unread: list[str] = []
    paths = recordings_in(session)
    for path in paths:
        progress(f"reading {path.parent.name}" if len(paths) > 1 else "reading")
        try:
            found.append(recording_facts(open_recording(path)))
        except RecordingError as problem:  # a crash may leave anything
            if len(paths) == 1:
                raise
            unread.append(str(problem))
    if not found:
        raise RecordingError(unread[0])
    return whole_of(found, unread)


def whole_of(found: Sequence[RecordingFacts], unread: Sequence[str] = ()) -> Whole:
    """Takes as a whole. found : of each take in their order; a later attempt at a trial replaces others."""
    takes = [
        summarise(facts, take_number(facts.recording.path) if len(found) > 1 else 0) for facts in found
    ]
    later: set[int] = set()
    once = []
    for take in reversed(takes):
        once.append(_without(take, later))
        later |= {trial.number for trial in take.trials}
    return Whole(tuple(reversed(once)), tuple(unread))


def _without(take: Summary, later: set[int]) -> Summary:
    """A take whose trials that a later one shows again do not count."""
    again = {trial.number for trial in take.trials} & later
    if not again:
        return take
    return replace(
        take,
        trials=[
            replace(trial, excluded=REPEATED) if trial.number in again else trial for trial in take.trials
        ],
        labelled=[trial for trial in take.labelled if trial.number not in again],
        votes=[votes.without(again) for votes in take.votes],
    )


def _joined(several: Sequence[Votes]) -> Votes:
    return Votes(
        several[0].line,
        several[0].classes,
        tuple(number for votes in several for number in votes.numbers),
        np.concatenate([votes.truth for votes in several]),
        np.concatenate([votes.vote for votes in several]),
        tuple(number for votes in several for number in votes.silent),
    )
