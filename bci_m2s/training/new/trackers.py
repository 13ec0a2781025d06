"""Eye trackers by the labels of their channels: which column is gaze, which pupil, and in what unit.

The layouts are those of the senders' source code, of Neon its documentation; nothing was measured.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from bci_m2s.errors import ConfigurationError, nearest
from bci_m2s.lsl.channel_names import default_labels
from bci_m2s.signal.units import find_unit
from bci_m2s.types import StreamInfo


@dataclass(frozen=True, slots=True)
class Tracker:
    """One eye tracker, or how a stream of one is used.

    name : as ``--eye`` has it; title : for people
    columns : label of each column that the feature ``eye`` needs, and of the confidence where there is one
    gaze_unit : `normalized`, `pixels` or `degrees`
    pupil_unit : of the pupils, "" for one that has none
    rate_hz : usual rate; states_hz : what the sender states, 0 for none, None for the true one
    stream_name, stream_type : of the LSL stream
    loss_values : what is sent where an eye is not seen, besides NaN
    field_deg : what one unit of gaze spans, where that is in a camera's picture; () for a screen
    note : what to know of it
    source : who says so
    """

    name: str
    title: str
    columns: dict[str, str]
    gaze_unit: str = "normalized"
    pupil_unit: str = "mm"
    rate_hz: float = 120.0
    states_hz: float | None = None
    stream_name: str = ""
    stream_type: str = "Gaze"
    loss_values: tuple[float, ...] = ()
    field_deg: tuple[float, ...] = ()
    note: str = ""
    source: str = ""


def _columns(gaze_x: str, gaze_y: str, pupil_x: str, pupil_y: str, confidence: str = "") -> dict[str, str]:
    found = {"gaze_x": gaze_x, "gaze_y": gaze_y, "pupil_x": pupil_x, "pupil_y": pupil_y}
    return found | ({"confidence": confidence} if confidence else {})


TRACKERS = {
    tracker.name: tracker
    for tracker in (
        Tracker(
            "simulated",
            "the simulator's eye tracker",
            _columns("gaze_x", "gaze_y", "pupil_left", "pupil_right", "confidence"),
            stream_name="Simulated eye tracker",
            field_deg=(35.0, 20.0),
            source="this program",
        ),
        Tracker(
            "tobii",
            "Tobii Pro, App-TobiiPro",
            _columns("left_x", "left_y", "left_pupil", "right_pupil"),
            states_hz=600.0,
            stream_name="Tobii",
            note="gaze of the left eye; the app states 600 Hz whatever the tracker's rate",
            source="source code of App-TobiiPro (bb186c5)",
        ),
        Tracker(
            "titta",
            "Tobii Pro, TittaLSL",
            _columns("ch1", "ch2", "ch8", "ch29"),
            stream_name="Tobii_gaze",
            note="gaze of the left eye; it describes 42 of its 43 channels, so they go by number",
            source="source code of TittaLSL (008a88e)",
        ),
        Tracker(
            "pupil-neon",
            "Pupil Labs Neon, Companion app",
            _columns("x", "y", "PupilDiameter_left", "PupilDiameter_right"),
            gaze_unit="pixels",
            rate_hz=200.0,
            stream_name="Neon Companion_Neon Gaze",
            field_deg=(0.0644, 0.0642),  # 103 × 77 degrees in 1600 × 1200 pixels, by third parties
            note="gaze is in the scene camera's picture; pupils need eye state to be on in the app",
            source="documentation of Pupil Labs (4b9f501); unit and rate are other people's",
        ),
        Tracker(
            "pupil-core",
            "Pupil Core, LSL relay",
            _columns("norm_pos_x", "norm_pos_y", "diameter1_3d", "diameter0_3d", "confidence"),
            states_hz=0.0,
            stream_name="pupil_capture",
            field_deg=(90.0, 60.0),
            note="gaze is in the scene camera's picture: state the angles of its lens with --degrees",
            source="source code of the relay (37dedd6)",
        ),
        Tracker(
            "eyelink",
            "EyeLink, App-EyeLink",
            _columns("leftEyeX", "leftEyeY", "leftPupilArea", "rightPupilArea"),
            gaze_unit="pixels",
            pupil_unit="",
            rate_hz=500.0,
            stream_name="EyeLink",
            loss_values=(-32768.0,),
            note="gaze of the left eye; pupils are areas in a unit of the tracker's own",
            source="source code of App-EyeLink (bff4abf)",
        ),
    )
}
_GAZE = re.compile(r"gaze|norm_pos|por|eye")
_PUPIL = re.compile(r"pupil|diameter")
_FLAG = re.compile(r"valid|available")


def find_tracker(name: str) -> Tracker:
    """A tracker by name. Raises ConfigurationError for an unknown one, with the nearest."""
    if name not in TRACKERS:
        raise ConfigurationError(f"eye: got {name!r}, expected a known tracker{nearest(name, TRACKERS)}")
    return TRACKERS[name]


def recognise(info: StreamInfo) -> Tracker | None:
    """The tracker of a stream, by its labels or by the words in them; None where no gaze is in it."""
    labels = {label.strip() for label in info.labels}
    for tracker in TRACKERS.values():
        names = set(tracker.columns.values())
        is_numbered = names <= set(default_labels(info.n_channels))  # then only the stream's name tells
        if names <= labels and (not is_numbered or info.name == tracker.stream_name):
            return tracker
    return _by_words(info)


def _by_words(info: StreamInfo) -> Tracker | None:
    """A tracker that nobody knows: the first gaze x and y, and the first two pupils."""
    names = [label.strip() for label in info.labels]
    gaze = {}
    for axis in "xy":
        pattern = re.compile(rf"(^|[^a-z]){axis}([^a-z]|$)")
        spaced = [re.sub(r"([a-z])([A-Z])", r"\1_\2", name).casefold() for name in names]
        found = [name for name, word in zip(names, spaced, strict=True) if _is(_GAZE, pattern, word)]
        if not found:
            return None
        gaze[axis] = found[0]
    pupils = [
        name for name in names if _PUPIL.search(name.casefold()) and not _FLAG.search(name.casefold())
    ][:2]
    if not pupils or names.count(gaze["x"]) > 1 or names.count(gaze["y"]) > 1:
        return None
    sure = next((name for name in names if "confidence" in name.casefold()), "")
    unit = find_unit(info.units[names.index(gaze["x"])]) if info.units else None
    gaze_unit = unit.name if unit and unit.name in ("pixels", "degrees") else "normalized"
    return Tracker(
        "",
        "eye tracker",
        _columns(gaze["x"], gaze["y"], pupils[0], pupils[-1], sure),
        gaze_unit=gaze_unit,
        pupil_unit="",
        rate_hz=info.rate_hz or 120.0,
        note="columns were found by their names",
    )


def _is(gaze: re.Pattern[str], axis: re.Pattern[str], word: str) -> bool:
    return bool(gaze.search(word) and axis.search(word) and not _PUPIL.search(word) and "3d" not in word)


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen as the person sees it: size in cm and in pixels, and distance of the eyes in cm."""

    width_cm: float = 53.0
    height_cm: float = 30.0
    distance_cm: float = 65.0
    width_px: int = 1920
    height_px: int = 1080


def degrees_per_unit(gaze_unit: str, screen: Screen) -> tuple[float, float] | None:
    """Visual angle of one unit of gaze, across and down; None where gaze is in degrees already.

    A screen of width w seen from a distance d spans 2 · atan(w / 2d); likewise its height. That is one unit
    of `normalized` gaze, and one unit of `pixels` is that over the number of pixels.
    """
    if gaze_unit == "degrees":
        return None
    across = math.degrees(2.0 * math.atan(screen.width_cm / (2.0 * screen.distance_cm)))
    down = math.degrees(2.0 * math.atan(screen.height_cm / (2.0 * screen.distance_cm)))
    if gaze_unit == "pixels":
        across, down = across / screen.width_px, down / screen.height_px
    digits = 4 if gaze_unit == "pixels" else 1
    return round(across, digits), round(down, digits)
