"""The state of the session as an LSL stream of JSON text, once a second and whenever it changes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pylsl

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import STATUS_TYPE
from bci_m2s.sinks.estimates import source_id
from bci_m2s.types import Published, StatusReport

LAST_REPORT_S = 0.3
BUFFERED = 1  # hundreds of samples that liblsl keeps for a display that hangs: the newest matter


class StatusSink:
    """Stream ``NAME-status`` of type ``bci_m2s-status``: one string channel, one JSON object per sample.

    Its description holds the session (model, heads, streams, window) as JSON, so that a display that
    starts late knows all that it needs.
    """

    kind = "outlet"
    problem = ""

    def __init__(self, folder: Path | None, session: SessionDescription) -> None:
        del folder
        self._session = session
        self._outlet: Any = None

    def open(self) -> None:
        """Offer the stream."""
        name = f"{self._session.outlet_name}-status"
        info = pylsl.StreamInfo(
            name, STATUS_TYPE, 1, pylsl.IRREGULAR_RATE, "string", source_id(self._session, "status")
        )
        info.set_channel_labels(["json"])
        info.desc().append_child_value("manufacturer", "bci_m2s")
        info.desc().append_child_value("session", json.dumps(self._session.values()))
        self._outlet = pylsl.StreamOutlet(info, max_buffered=BUFFERED)

    def take(self, item: Published) -> None:
        """Push one sample per report. After the last one the outlet waits a moment for listeners."""
        if isinstance(item, StatusReport):
            self._outlet.push_sample([json.dumps(item.values)], item.local_s)
            if item.values.get("ended") and self._outlet.have_consumers():
                time.sleep(LAST_REPORT_S)  # liblsl cannot say when a sample was delivered

    def close(self) -> None:
        """Withdraw the stream."""
        self._outlet = None
