"""What the files of a recording hold, in a line, and whether they are still the same."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bci_m2s.recording.bids.files import beside
from bci_m2s.recording.recorded import Recording

BESIDE = ("events.tsv", "channels.tsv", "eeg.json")
MOST_TEXTS = 8  # markers listed by their text
LONGEST_TEXT = 40


def contents(paths: Sequence[Path], recording: Recording) -> str:
    """Names of the files, their streams by type, and their markers with how often and how long each is."""
    names = " + ".join(path.name for path in paths)
    kept = [stream for stream in recording.raw_streams if not stream.is_markers]
    streams = [
        f"{stream.info.type or 'untyped'} {stream.info.n_channels}"
        + ("" if stream.n_samples else " without a sample")
        for stream in kept
    ]
    return f"{names}: {', '.join(streams) or 'no stream'}; {marker_texts(recording)}"


def state_of(paths: Sequence[Path]) -> str:
    """What changes when one of these files, or one that stands beside it as BIDS has it, is changed."""
    aside = [file for path in paths for ending in BESIDE for file in beside(path, ending)]
    files = [*paths, *aside]
    facts = [(file.as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()


def marker_texts(recording: Recording) -> str:
    """ "markers 'happy' 3 (12 s), 'sad' 3 (12 s)", the most frequent ones; "no marker"."""
    lasting: dict[str, list[float]] = defaultdict(list)
    for stream in recording.markers:
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


def _length(lasts_s: list[float]) -> str:
    """ " (12 s)", " (10 to 12 s)"; "" where no marker lasts."""
    known = [f"{length_s:.4g}" for length_s in sorted(lasts_s) if length_s > 0]
    if not known:
        return ""
    return f" ({known[0]} s)" if known[0] == known[-1] else f" ({known[0]} to {known[-1]} s)"
