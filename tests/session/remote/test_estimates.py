"""The newest estimate for whoever asks: its age grows, and what is old is none."""

import math

import numpy as np
import pytest

from bci_m2s.engine.publisher import Publisher
from bci_m2s.session.remote.estimates import newest_estimates
from bci_m2s.types import Estimate, Stamps, Status


def publisher(status=Status.OK, p=(0.2, 0.8), last_sample_s=9.9):
    made = Publisher({"emotion": ("sad", "happy")}, 0.25, None)
    stamps = Stamps(last_sample_s=last_sample_s, published_s=10.0)
    confidence = max(p) if status is Status.OK else math.nan
    made.latest["eeg", "emotion"] = Estimate(
        "eeg", "emotion", 0, 1, 0.0, 5.0, status, "", np.array(p), confidence, stamps
    )
    return made


def test_an_estimate_as_values():
    assert newest_estimates(publisher(), 10.5) == [
        {
            "modality": "eeg",
            "head": "emotion",
            "status": "ok",
            "reason": "",
            "label": "happy",
            "confidence": 0.8,
            "p": {"sad": 0.2, "happy": 0.8},
            "window_end_s": 5.0,
            "age_s": pytest.approx(0.6),
        }
    ]


def test_what_nothing_followed_is_no_estimate_any_more():
    (found,) = newest_estimates(publisher(), 13.5)
    assert (found["status"], found["label"], found["confidence"]) == ("stale", "", None)
    assert found["p"] == {"sad": None, "happy": None}
    assert found["reason"] == "nothing came for 3.5 s"
    assert found["age_s"] == pytest.approx(3.6)


def test_the_reason_for_none_stays_and_an_age_that_is_not_known_is_null():
    (found,) = newest_estimates(publisher(Status.GAP, (math.nan,) * 2, math.nan), 20.0)
    assert (found["status"], found["age_s"]) == ("gap", None)
