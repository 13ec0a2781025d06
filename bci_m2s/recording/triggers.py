"""Trigger channels of files that mne reads: their codes, and where an amplifier began to record again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TRIGGER = "stim"  # mne's kind of channel
PIECE_S = 10.0  # of a file that is read at once
# Of 24 status bits the upper 8 are the amplifier's own; bit 16 is set where it starts (biosemi.com/faq).
BIOSEMI_TRIGGERS, BIOSEMI_RESTART = 0xFFFF, 0x10000


class Triggers(NamedTuple):
    """Of one channel."""

    at: NDArray[np.int64]  # sample numbers of changes to something other than 0
    texts: list[str]  # the numbers that they change to
    restarts: NDArray[np.int64]  # samples from which the amplifier recorded again


def _find(raw: Any, name: str) -> Triggers:
    """Find where a trigger channel changes."""
    piece = round(PIECE_S * float(raw.info["sfreq"])) or 1
    is_biosemi = bool(raw.filenames[0]) and str(raw.filenames[0]).lower().endswith(".bdf")
    at, restarts, texts = [], [], list[str]()
    before: np.int64 | None = None
    for start in range(0, raw.n_times, piece):
        values = np.rint(raw.get_data(picks=[name], start=start, stop=min(start + piece, raw.n_times))[0])
        status = values.astype(np.int64)
        previous = np.concatenate([status[:1] if before is None else [before], status[:-1]])
        before = status[-1]
        if is_biosemi:
            restarts.append(np.flatnonzero(status & ~previous & BIOSEMI_RESTART) + start)
            status, previous = status & BIOSEMI_TRIGGERS, previous & BIOSEMI_TRIGGERS
        changed = np.flatnonzero((status != previous) & (status != 0))
        at.append(changed + start)
        texts.extend(str(code) for code in status[changed])
    none = [np.empty(0, np.int64)]
    return Triggers(np.concatenate(at or none), texts, np.concatenate(restarts or none))


def find_triggers(raw: Any) -> dict[str, Triggers]:
    """The triggers of each trigger channel, by its name. raw : of mne"""
    kinds = zip(raw.ch_names, raw.get_channel_types(), strict=True)
    return {name: _find(raw, name) for name, kind in kinds if kind == TRIGGER}
