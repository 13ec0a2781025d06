"""What the files of a recording hold, in a line, and whether they are still the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from bci_m2s.recording.bids.files import beside
from bci_m2s.recording.marker_texts import marker_texts
from bci_m2s.recording.recorded import Recording

BESIDE = ("events.tsv", "channels.tsv", "eeg.json")


def contents(paths: Sequence[Path], recording: Recording) -> str:
    """Names of the files, their streams by type, and their markers with how often and how long each is."""
    names = " + ".join(path.name for path in paths)
    kept = [stream for stream in recording.raw_streams if not stream.is_markers]
    streams = [
        f"{stream.info.type or 'untyped'} {stream.info.n_channels}"
        + ("" if stream.n_samples else " without a sample")
        for stream in kept
    ]
    return f"{names}: {', '.join(streams) or 'no stream'}; {marker_texts(recording.markers)}"


def state_of(paths: Sequence[Path]) -> str:
    """What changes when one of these files, or one that stands beside it as BIDS has it, is changed."""
    aside = [file for path in paths for ending in BESIDE for file in beside(path, ending)]
    files = [*paths, *aside]
    facts = [(file.as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()
