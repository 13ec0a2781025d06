"""Recordings: written so that a crash costs half a second at most, and read in every format; what they
mean is judged in `review`.

A recording is an XDF 1.0 file, ``session.xdf``, and beside it ``session.xdf.sums`` with a checksum of each
of its chunks. Estimates and events are streams of the same file, known by their types, see ``lsl.formats``.
"""

from __future__ import annotations

SUMS_SUFFIX = ".sums"  # put behind the recording's whole name
BAD_GAP = "BAD_gap"  # annotation of MNE's Raw where samples are missing
