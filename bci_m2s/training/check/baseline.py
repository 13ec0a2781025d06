"""Which trials a baseline reaches into: windows inside it are not used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from bci_m2s.errors import ConfigurationError
from bci_m2s.model.contract import ModalityContract, WindowContract
from bci_m2s.model.feature_size import build_extractor
from bci_m2s.training.check.listing import Listing
from bci_m2s.training.data.splits import Listed
from bci_m2s.training.datasets.layout import RawSegment
from bci_m2s.training.settings import TrainingSettings

Reached = tuple[float, tuple[str, ...], tuple[str, ...]]  # length of the baseline, s; trials; modalities
USUAL_S = 60.0
MOST_NAMES = 3


def baseline_notes(settings: TrainingSettings, listing: Listing) -> list[str]:
    """A line for the people whose baseline reaches into trials.

    Raises
    ------
    ConfigurationError
        The baseline of a modality leaves no window of any trial.
    """
    by_person: dict[tuple[str, float, tuple[str, ...]], list[str]] = defaultdict(list)
    for name, spec in settings.contract.modalities.items():
        if spec.normaliser.name != "baseline" or not listing.segments:
            continue
        duration_s = _duration_s(spec)
        n_left = n_known = 0
        for session, segments in zip(listing.sessions, listing.segments, strict=True):
            if any(name in segment.streams and name not in segment.spans_s for segment in segments):
                continue  # how long a segment is would show only when it is read
            lost, spoilt = _reached(segments, name, spec, settings.contract.window)
            n_known += len(session.trials)
            n_left += len(session.trials) - spoilt
            if lost:
                by_person[_who(session, listing), duration_s, lost].append(name)
        if n_known and not n_left:
            raise ConfigurationError(
                f"contract.modalities.{name}.normaliser.params.duration_s: got {duration_s:g}, "
                "expected less: the baseline leaves no window of any trial"
            )
    reached: dict[Reached, list[str]] = defaultdict(list)
    for (who, duration_s, trials), modalities in by_person.items():
        reached[duration_s, trials, tuple(modalities)].append(who)
    return list(_lines(reached))


def _lines(reached: Mapping[Reached, Sequence[str]]) -> Iterator[str]:
    for (duration_s, trials, modalities), found in reached.items():
        names = list(dict.fromkeys(found))
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        which = f"trial{'s' if len(trials) > 1 else ''} {', '.join(trials)}"
        who = ", ".join(names[:MOST_NAMES]) + more
        yield f"{who}: the baseline of {duration_s:g} s reaches into {which} ({', '.join(modalities)})"


def _who(session: Listed, listing: Listing) -> str:
    several = sum(other.subject == session.subject for other in listing.sessions) > 1
    return f"{session.subject}/{session.session}" if several else session.subject


def _duration_s(spec: ModalityContract) -> float:
    value = spec.normaliser.params.get("duration_s", USUAL_S)
    return float(value) if isinstance(value, int | float) else USUAL_S  # checked with the contract


def _reached(
    segments: Sequence[RawSegment], modality: str, spec: ModalityContract, window: WindowContract
) -> tuple[tuple[str, ...], int]:
    """The trials that lose windows to the baseline, and how many have none.

    A segment after the one in which the baseline ended loses what its filters take to settle, no more.
    """
    hop_s, step_s = window.hop_s, window.step_s
    needed = round((_duration_s(spec) - step_s) / hop_s) + 1  # steps
    lost, spoilt, is_over = [], 0, False
    for segment in segments:
        if modality not in segment.streams:
            continue
        begin_s, end_s = segment.spans_s[modality]
        rate_hz = segment.streams[modality].info.rate_hz
        first_s = begin_s + build_extractor(spec, window, rate_hz).settle_s + step_s
        there = max(0, int((end_s - first_s) / hop_s) + 1)
        ready_s = first_s + (needed - 1) * hop_s if there >= needed else float("inf")
        for trial in segment.trials:
            if not is_over and trial.start_s + step_s < ready_s - hop_s:
                lost.append(trial.name)
            spoilt += trial.stop_s - (window.steps - 1) * step_s < ready_s
        is_over = is_over or there >= needed
        needed = 1 if is_over else needed - there
    return tuple(lost), spoilt
