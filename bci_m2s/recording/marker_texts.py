"""Which markers a recording holds, in a line."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from bci_m2s.recording.recorded import RecordedStream

MOST_TEXTS = 8  # markers listed by their text
LONGEST_TEXT = 40


def marker_texts(streams: Sequence[RecordedStream]) -> str:
    """ "markers 'happy' 3 (12 s), 'sad' 3 (12 s)", the most frequent ones; "no marker".

    streams : of markers, as ``Recording.markers`` gives them
    """
    lasting: dict[str, list[float]] = defaultdict(list)
    for stream in streams:
        texts = stream.read(0, stream.n_samples)[:, 0]
        lasts_s = np.full(len(texts), np.nan) if stream.durations_s is None else stream.durations_s
        for text, length_s in zip(texts, lasts_s, strict=True):
            lasting[str(text)].append(float(length_s))
    if not lasting:
        return "no marker"
    often = sorted(lasting, key=lambda text: -len(lasting[text]))
    shown = [f"{text[:LONGEST_TEXT]!r} {len(lasting[text])}{_length(lasting[text])}" for text in often]
    more = f" and {len(shown) - MOST_TEXTS} others" if len(shown) > MOST_TEXTS else ""
    return f"markers {', '.join(shown[:MOST_TEXTS])}{more}"


def several_mark(streams: Sequence[RecordedStream], start: str) -> str:
    """A sentence where trials begin in the markers of more than one stream, "" where they do not.

    start : regular expression for the whole marker that begins a trial
    """
    begins, named = re.compile(start), []
    for stream in streams:
        texts = map(str, stream.read(0, stream.n_samples)[:, 0])
        if count := sum(begins.fullmatch(text) is not None for text in texts):
            named.append(f"{stream.info.name!r} {count}")
    if len(named) < 2:
        return ""
    listed = ", ".join(named)
    return f"trials begin in the markers of {len(named)} streams, which are taken together: {listed}"


def _length(lasts_s: list[float]) -> str:
    """ " (12 s)", " (10 to 12 s)"; "" where no marker lasts."""
    known = [f"{length_s:.4g}" for length_s in sorted(lasts_s) if length_s > 0]
    if not known:
        return ""
    return f" ({known[0]} s)" if known[0] == known[-1] else f" ({known[0]} to {known[-1]} s)"
