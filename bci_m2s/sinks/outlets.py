"""What a session sends over LSL: estimates, its state, and what estimates rest on.

Estimates have streams of type ``Emotion``, one per head, for LabRecorder and for the experiment. With one
head the stream has the pipeline's name for it, with several ``NAME-HEAD``; for the channels see
``lsl.formats.EstimateLayout``. All streams are irregular. The stamp of an estimate is the local time of its
window's last sample, so it lines up with the signal; where several modalities share a stream, one that is
earlier than the stamp before is sent as that one.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pylsl

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import (
    ANSWER_TYPE,
    EVIDENCE_PART,
    EVIDENCE_TYPE,
    STATUS_PART,
    STATUS_TYPE,
    EstimateLayout,
    code_names,
    evidence_channels,
    pack_evidence,
)
from bci_m2s.lsl.outlet import make_outlet
from bci_m2s.sinks import Sink
from bci_m2s.types import Estimate, FloatArray, Published, StatusReport, StreamInfo

LAST_REPORT_S = 0.3
BUFFERED = 360  # hundreds of samples that liblsl keeps for a reader that does not read
NEWEST = 1  # the same for displays: to them the newest matter
MOST_AHEAD_S = 1.0  # clocks of two machines differ by less
METHOD = "gradient x input of the calibrated log-probability of the class, summed over the window's steps"


class OutletSink(Sink):
    """Publishes estimates; irregular rate, because an estimate comes when its window is complete."""

    kind = "outlet"

    def __init__(self, folder: Path | None, session: SessionDescription) -> None:
        del folder
        self._session = session
        self._layouts = {
            head: EstimateLayout(classes, session.combinations) for head, classes in session.heads.items()
        }
        self._outlets: dict[str, Any] = {}  # by head
        self._newest_s: dict[str, float] = {}  # the last stamp of each

    def open(self) -> None:
        """Create the outlets and describe them."""
        session, codes = self._session, code_names(self._session.combinations)
        for head, layout in self._layouts.items():
            name = f"{session.outlet_name}-{head}" if len(self._layouts) > 1 else session.outlet_name
            info = StreamInfo(
                name, ANSWER_TYPE, _source_id(session, head), labels=layout.labels, units=layout.units
            )
            self._outlets[head] = make_outlet(
                info, BUFFERED, {**session.origin, "head": head, "codes": codes}
            )

    def take(self, item: Published) -> None:
        """Push one sample per estimate to the stream of its head, whose stamps never go back."""
        if isinstance(item, Estimate):
            stamp_s = self._rising(item.head, item.stamps.last_sample_s)
            self._outlets[item.head].push_sample(self._layouts[item.head].pack(item), stamp_s)

    def _rising(self, head: str, last_sample_s: float) -> float:
        """The stamp to send: of two modalities the later window may be published first.

        One that lies ahead of this clock is no moment yet, and must not hold up all that follow.
        """
        stamp_s, now_s = _stamp(last_sample_s), pylsl.local_clock()
        if stamp_s > now_s + MOST_AHEAD_S:
            stamp_s = now_s
        self._newest_s[head] = max(stamp_s, self._newest_s.get(head, -math.inf))
        return self._newest_s[head]

    def close(self) -> None:
        """Withdraw the outlets."""
        self._outlets.clear()


class StatusSink(Sink):
    """Stream ``NAME-status`` of type ``bci_m2s-status``: one string channel, one JSON object per sample.

    It has the session's state, once a second and whenever that changes. Its description holds the session
    (model, heads, streams, window) as JSON, so that a display that starts late knows all that it needs.
    """

    kind = "outlet"

    def __init__(self, folder: Path | None, session: SessionDescription) -> None:
        del folder
        self._session = session
        self._outlet: Any = None

    def open(self) -> None:
        """Offer the stream."""
        session = self._session
        info = StreamInfo(
            f"{session.outlet_name}-{STATUS_PART}",
            STATUS_TYPE,
            _source_id(session, STATUS_PART),
            labels=("json",),
            units=("",),
            channel_format="string",
        )
        facts = {"manufacturer": "bci_m2s", "session": json.dumps(session.values())}
        self._outlet = make_outlet(info, NEWEST, facts)

    def take(self, item: Published) -> None:
        """Push one sample per report. After the last one the outlet waits a moment for listeners."""
        if isinstance(item, StatusReport):
            self._outlet.push_sample([json.dumps(item.values)], item.local_s)
            if item.values.get("ended") and self._outlet.have_consumers():
                time.sleep(LAST_REPORT_S)  # liblsl cannot say when a sample was delivered

    def close(self) -> None:
        """Withdraw the stream."""
        self._outlet = None


class EvidenceOutlet:
    """What the estimates of one modality rest on, for a display; no sink, ``engine.evidence`` feeds it.

    Stream ``NAME-evidence-MODALITY`` of type ``bci_m2s-evidence``: one channel per feature, then ``head``
    and ``class``, positions in the description's lists. A sample answers for one head.

    Parameters
    ----------
    session : what ``session.yaml`` holds; heads, classes, model and outlet's name are used
    modality : name in the contract
    names : (F,) names of the features, in the extractor's order
    """

    def __init__(self, session: SessionDescription, modality: str, names: Sequence[str]) -> None:
        self._heads = list(session.heads)
        name, (labels, units) = f"{EVIDENCE_PART}-{modality}", evidence_channels(names)
        info = StreamInfo(
            f"{session.outlet_name}-{name}",
            EVIDENCE_TYPE,
            _source_id(session, name),
            labels=labels,
            units=units,
        )
        heads = [
            {"name": head, "classes": {"class": list(classes)}} for head, classes in session.heads.items()
        ]
        facts = {**session.origin, "modality": modality, "method": METHOD, "heads": {"head": heads}}
        self._outlet: Any = make_outlet(info, NEWEST, facts)

    @property
    def wanted(self) -> bool:
        """Whether somebody listens."""
        outlet = self._outlet
        return outlet is not None and bool(outlet.have_consumers())

    def push(self, values: FloatArray, head: str, class_index: int, last_sample_s: float) -> None:
        """Publish what one head's answer rests on.

        values : (F,) nats; last_sample_s : local time of the window's last sample, NaN while the sender's
        clock is unknown (the stamp then is now)
        """
        outlet = self._outlet
        if outlet is not None:
            row = pack_evidence(values, self._heads.index(head), class_index)
            outlet.push_sample(row, _stamp(last_sample_s))

    def close(self) -> None:
        """Withdraw the stream; may be called twice."""
        self._outlet = None


def _source_id(session: SessionDescription, part: str) -> str:
    """Source id of a stream that the session sends. All of them begin with the session's id."""
    return f"{session.session_id or uuid.uuid4().hex}-{part}"


def _stamp(last_sample_s: float) -> float:
    """Local time of a sample; now while the sender's clock is unknown."""
    return pylsl.local_clock() if math.isnan(last_sample_s) else last_sample_s
