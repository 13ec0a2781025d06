"""Estimates and events as further streams of the recording, for ``verify`` to hold a replay against.

Every head has one double64 stream, see ``lsl.formats.RecordLayout``; events are lines as in
``events.jsonl``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import (
    ESTIMATES_TYPE,
    EVENTS_INFO,
    RecordLayout,
    code_names,
    event_line,
    session_line,
)
from bci_m2s.recording.recorder import Recorder
from bci_m2s.recording.xdf_headers import stream_xml
from bci_m2s.sinks import Sink
from bci_m2s.types import Chunk, Estimate, Event, Published, StatusReport, StreamInfo

OFFSET_EVERY_S = 5.0


class RecordSink(Sink):
    """A sink that hands results to a recorder, which outlives it and reports problems of its own.

    Parameters
    ----------
    recorder : may be started or not
    session : what ``session.yaml`` holds; heads with their classes, modalities and the model are used
    """

    def __init__(self, recorder: Recorder, session: SessionDescription) -> None:
        self._recorder, self._session = recorder, session
        self._layouts = {
            head: RecordLayout(classes, session.modalities, session.combinations)
            for head, classes in session.heads.items()
        }
        self._streams: dict[str, int] = {}  # by head
        self._events = 0
        self._offset_s = -math.inf  # when offsets were noted last

    def open(self) -> None:
        """Announce the streams."""
        for head, layout in self._layouts.items():
            name = f"bci_m2s-{head}" if len(self._layouts) > 1 else "bci_m2s"
            info = StreamInfo(
                name, ESTIMATES_TYPE, labels=layout.labels, units=layout.units, channel_format="double64"
            )
            codes = code_names(self._session.combinations)
            xml = stream_xml(info, {**self._session.origin, "head": head, "codes": codes})
            self._streams[head] = self._recorder.add_stream(info, xml)
        xml = stream_xml(EVENTS_INFO, {"manufacturer": "bci_m2s"})
        self._events = self._recorder.add_stream(EVENTS_INFO, xml)
        # what is needed to replay the session, first of all
        self._record(self._events, math.nan, np.array([[session_line(self._session.values())]], object))

    def take(self, item: Published) -> None:
        """Record estimates, stamped with their window's last sample in the local clock, and events.

        Reports only say when to note that these streams are in the local clock: readers look for offsets.
        """
        match item:
            case Estimate():
                stamps, values = item.stamps, self._layouts[item.head].pack(item)
                known = math.isfinite(stamps.last_sample_s)
                stamp_s = stamps.last_sample_s if known else stamps.published_s
                self._record(self._streams[item.head], stamp_s, values[np.newaxis])
            case Event():  # the line that ``events.jsonl`` has
                self._record(self._events, item.local_s, np.array([[event_line(item)]], object))
            case StatusReport() if item.local_s - self._offset_s >= OFFSET_EVERY_S:
                self._offset_s = item.local_s
                for stream in (*self._streams.values(), self._events):
                    self._recorder.clock_offset(stream, item.local_s, 0.0)

    def _record(self, stream: int, stamp_s: float, samples: np.ndarray[Any, Any]) -> None:
        stamp_s = stamp_s if math.isfinite(stamp_s) else self._recorder.clock()
        self._recorder.samples(stream, Chunk.of([stamp_s], samples, stamp_s))
