"""Recordings: written so that a crash costs half a second at most, and what belongs to their format.

A recording is an XDF 1.0 file, ``session.xdf``, and beside it ``session.xdf.sums`` with a checksum of each
of its chunks. Estimates and events are streams of the same file, known by the types below.
"""

from __future__ import annotations

ESTIMATES_TYPE = "bci_m2s-estimates"  # one double64 stream per head
EVENTS_TYPE = "bci_m2s-events"  # one string stream, a JSON object per sample
RESULT_TYPES = (ESTIMATES_TYPE, EVENTS_TYPE)
SUMS_SUFFIX = ".sums"  # put behind the recording's whole name
