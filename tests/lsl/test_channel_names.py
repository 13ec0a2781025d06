"""What a sender's description makes of channels."""

from bci_m2s.lsl.channel_names import Described, channel_names
from bci_m2s.training.new.trackers import TRACKERS, recognise
from bci_m2s.types import StreamInfo


def test_a_label_that_each_eye_has_is_told_apart_by_the_eye():
    """As the documentation of Pupil Labs Neon describes its stream."""
    told = [("x", ""), ("y", ""), *(("PupilDiameter", eye) for eye in ("left", "Right"))]
    labels, _, remark = channel_names([Described(label, "", "", eye) for label, eye in told], 4)
    assert labels == ("x", "y", "PupilDiameter_left", "PupilDiameter_right")
    assert remark == ""
    info = StreamInfo("Neon Companion_Neon Gaze", "Gaze", rate_hz=200.0, labels=labels, units=("",) * 4)
    assert recognise(info) is TRACKERS["pupil-neon"]


def test_other_labels_stay_as_they_are():
    told = [("gaze", "left"), ("lid", "right"), ("Cz", ""), ("Cz", "")]
    labels, _, _ = channel_names([Described(label, "", "", eye) for label, eye in told], 4)
    assert labels == ("gaze", "lid", "Cz", "Cz")
