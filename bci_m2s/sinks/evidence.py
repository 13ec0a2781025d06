"""What estimates rest on as LSL streams, one for each modality, for a display.

Stream ``NAME-evidence-MODALITY`` of type ``bci_m2s-evidence``, irregular rate, float32: one channel a
feature, then ``head`` and ``class``, positions in the description's lists. A sample answers for one head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pylsl

from bci_m2s.lsl.description import SessionDescription
from bci_m2s.lsl.formats import EVIDENCE_TYPE, EvidenceLayout, pack_evidence
from bci_m2s.sinks.estimates import described, source_id
from bci_m2s.types import FloatArray

METHOD = "gradient x input of the calibrated log-probability of the class, summed over the window's steps"
BUFFERED = 1  # hundreds of samples that liblsl keeps for a reader that does not read: the newest matter


class EvidenceOutlet:
    """The stream of one modality; there from the beginning, until ``close``.

    Parameters
    ----------
    session : what ``session.yaml`` holds; heads, classes, model and outlet's name are used
    modality : name in the contract
    names : (F,) names of the features, in the extractor's order
    """

    def __init__(self, session: SessionDescription, modality: str, names: Sequence[str]) -> None:
        self._heads = list(session.heads)
        self._outlet: Any = pylsl.StreamOutlet(_info(session, modality, names), max_buffered=BUFFERED)

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
        if outlet is None:
            return
        row = pack_evidence(values, self._heads.index(head), class_index)
        outlet.push_sample(row, pylsl.local_clock() if math.isnan(last_sample_s) else last_sample_s)

    def close(self) -> None:
        """Withdraw the stream; may be called twice."""
        self._outlet = None


def _info(session: SessionDescription, modality: str, names: Sequence[str]) -> pylsl.StreamInfo:
    name = f"{session.outlet_name}-evidence-{modality}"
    layout = EvidenceLayout(tuple(names))
    facts = {**session.origin, "modality": modality, "method": METHOD}
    info = described(name, EVIDENCE_TYPE, layout, source_id(session, f"evidence-{modality}"), facts)
    heads = info.desc().append_child("heads")
    for head, classes in session.heads.items():
        entry = heads.append_child("head")
        entry.append_child_value("name", head)
        listed = entry.append_child("classes")
        for label in classes:
            listed.append_child_value("class", label)
    return info
