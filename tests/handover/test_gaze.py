"""Which channels are gaze, and of which eye, by the labels of senders that exist."""

from __future__ import annotations

import numpy as np
import pytest

from bci_m2s.handover.gaze import coordinate_system, eyes_of, gaze_unit
from bci_m2s.review.facts import RecordingStream
from bci_m2s.types import StreamInfo


def stream(
    labels: tuple[str, ...], kind: str = "Gaze", name: str = "tracker", unit: str = ""
) -> RecordingStream:
    info = StreamInfo(name, kind, rate_hz=60.0, labels=labels, units=(unit,) * len(labels))
    times = np.arange(3) / 60
    read = np.zeros((3, len(labels)), np.float32)
    return RecordingStream(
        info,
        times,
        lambda start, stop: read[start:stop],
        times_s=times,
        gaps=np.empty((0, 2)),
        rate_hz=60.0,
        backward=0,
    )


CASES = {
    "simulated": (
        ("gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence"),
        [("cyclopean", 0, 1, -1, (2, 3, 4))],
    ),
    "tobii": (
        ("left_x", "left_y", "left_pupil", "right_x", "right_y", "right_pupil"),
        [("left", 0, 1, 2, ()), ("right", 3, 4, 5, ())],
    ),
    "eyelink": (
        ("leftEyeX", "leftEyeY", "rightEyeX", "rightEyeY", "leftPupilArea", "rightPupilArea", "ppd"),
        [("left", 0, 1, 4, (6,)), ("right", 2, 3, 5, (6,))],
    ),
    "pupil core": (
        ("confidence", "norm_pos_x", "norm_pos_y", "gaze_point_3d_x", "gaze_point_3d_y", "diameter0_3d"),
        [("cyclopean", 1, 2, -1, (0, 3, 4, 5))],
    ),
    "neon": (("x", "y", "pupil diameter left"), [("cyclopean", 0, 1, -1, (2,))]),
    "pupils alone": (("pupil_left", "pupil_right"), []),
    "one coordinate": (("gaze_x", "pupil"), []),
}


@pytest.mark.parametrize("case", CASES)
def test_eyes_are_found_by_their_labels(case: str) -> None:
    labels, expected = CASES[case]
    found = [(eye.recorded, eye.x, eye.y, eye.pupil, eye.others) for eye in eyes_of(stream(labels))]
    assert found == expected


def test_an_accelerometer_is_no_eye() -> None:
    assert eyes_of(stream(("acc_x", "acc_y", "acc_z"), "ACC")) == []
    assert eyes_of(stream(("x", "y"), "Mouse")) == []


def test_the_system_is_that_of_a_screen_only_where_there_is_one() -> None:
    assert coordinate_system(stream(("x", "y")).info, True) == "gaze-on-screen"
    assert coordinate_system(stream(("x", "y")).info, False) == "custom"
    assert coordinate_system(stream(("x", "y"), name="ABC_Neon Gaze").info, True) == "gaze-in-world"


@pytest.mark.parametrize(
    ("stated", "unit"),
    [
        ("pixels", "pixel"),
        ("px", "pixel"),
        ("deg", "degree"),
        ("normalized", "arbitrary"),
        ("", "arbitrary"),
    ],
)
def test_each_coordinate_has_a_unit(stated: str, unit: str) -> None:
    assert gaze_unit(stream(("x", "y"), unit=stated).info, 0)[0] == unit
