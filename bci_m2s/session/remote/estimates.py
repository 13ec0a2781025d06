"""The newest estimates in plain values, for programs that ask instead of listening to the outlet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bci_m2s.engine.history import rounded
from bci_m2s.engine.publisher import Publisher
from bci_m2s.types import Estimate, Status

STALE_S = 3.0  # an estimate, or the reason why there is none, comes once a second at least


def newest_estimates(publisher: Publisher, now_s: float) -> list[dict[str, Any]]:
    """Return the newest estimate of each modality and head; of each head where one line is made of several.

    now_s : local clock; ``age_s`` is the age of the newest sample at this moment. An estimate that nothing
    has followed for ``STALE_S`` is none any more: its status is "stale"
    """
    heads = publisher.statistics.heads
    latest = dict(publisher.latest)  # a copy at once: another thread adds to it
    return [_values(estimate, head, heads[head], now_s) for (_, head), estimate in latest.items()]


def _values(estimate: Estimate, head: str, classes: Sequence[str], now_s: float) -> dict[str, Any]:
    since_s = now_s - estimate.stamps.published_s
    if estimate.status is Status.OK and since_s > STALE_S:
        estimate = replace(
            estimate,
            status=Status.STALE,
            reason=f"nothing came for {since_s:.1f} s",
            probabilities=np.full(len(classes), np.nan),
            confidence=float("nan"),
        )
    shares = zip(classes, estimate.probabilities, strict=True)
    age_s = now_s - estimate.stamps.last_sample_s
    return {
        "modality": estimate.modality,
        "head": head,
        "status": Status(estimate.status).name.lower(),
        "reason": estimate.reason,
        "label": estimate.label(classes),
        "confidence": rounded(estimate.confidence),
        "p": {name: rounded(p) for name, p in shares},
        "window_end_s": rounded(estimate.end_s),
        "age_s": rounded(max(age_s, 0.0)) if age_s == age_s else None,
    }
