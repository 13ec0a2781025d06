"""One item in mpv, from its loading to its end: what mpv says of it, and what follows from that."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path

from bci_m2s.session.protocol.frames import FEW_FRAMES, Frames
from bci_m2s.session.protocol.mpv_process import Message, MpvProcess, PlayerGone
from bci_m2s.session.protocol.stimulus import Shown
from bci_m2s.text import printable

TICK_S = 0.05  # how often it is looked whether somebody interrupts
LOAD_S, STALL_S = 30.0, 10.0  # until it is visible; without a word in mid-clip
STOP_S, HASTE_S = 2.0, 0.2  # until it is gone; an interrupted one may go after that
TIME_POS, AT_END, IDLE = 1, 2, 3
OBSERVED = {TIME_POS: "time-pos", AT_END: "eof-reached", IDLE: "idle-active"}
SHORT_S = 1.0  # a clip that ends so much before its time has failed
SOUND_SPREAD_S = 0.02  # a sound has no frames; half of one at 25 per second
EARLY_S = 0.25  # a clip's first frames may be of later moments of it, so that it seems to have begun before
PADDING_S = 0.15  # the last frame that is reported ends at most so much before the container does
FIGURES = {
    "dropped_frames": "frame-drop-count",
    "mistimed_frames": "mistimed-frame-count",
    "avsync_s": "avsync",
}
IS_PICTURE = "current-tracks/video/image"


class MpvItem:
    """A clip, sound or picture in an mpv that is idle.

    Parameters
    ----------
    player : reports `OBSERVED`
    clock : the one that stamps the player's messages, s
    duration_s : shown so long at most, s; None: to its own end
    on_onset : see `Stimulus.present`
    """

    def __init__(
        self,
        player: MpvProcess,
        clock: Callable[[], float],
        duration_s: float | None,
        on_onset: Callable[[float], None],
    ) -> None:
        self._player, self._clock, self._duration_s, self._on_onset = player, clock, duration_s, on_onset
        self._frames = Frames()
        self._asked: dict[int, str] = {}  # number of a request -> property
        self._known: dict[str, float] = {}  # property -> value
        self._is_loading = self._is_over = self._is_onset_sought = False
        self._visible_s = self._onset_s = self._at_end_s = self._stopped_s = math.nan
        self._loaded_s = math.inf
        self._problem = ""

    def show(self, path: Path, interrupted: threading.Event) -> None:
        """Show it to its end, a failure or an interruption; then the screen is black. Raises PlayerGone."""
        if not self._become_idle(LOAD_S, interrupted):  # the item before, if it was interrupted
            raise PlayerGone("mpv does not get ready")
        length = "none" if self._duration_s is None else f"{self._duration_s:.6f}"
        self._player.request("set_property", "length", length)
        self._loaded_s = self._clock()
        self._player.request("loadfile", str(path), "replace")
        self._watch(interrupted)
        self._is_over = True
        self._stop(interrupted.is_set())

    def result(self, problem: str = "") -> Shown:
        """What is known of it; problem : why mpv ended, which matters while it is shown only."""
        if math.isnan(self._onset_s):
            self._know_onset()
        problem = (
            self._problem
            or ("" if self._is_over else problem)
            or ("nothing was shown" if math.isnan(self._onset_s) else "")
        )
        stop_s = self._stop_s(problem)
        problem = problem or self._problem  # it may have been seen at the end only
        is_picture = self._is_picture
        spread_s = math.nan if is_picture else self._frames.spread_s()
        frame_s = math.nan if is_picture else self._frame_s()
        return Shown(
            self._onset_s,
            stop_s,
            spread_s,
            frame_s,
            (*([problem] if problem else []), *self._flags(spread_s, frame_s)),
            not problem,
            {name: self._known[key] for name, key in FIGURES.items() if key in self._known},
        )

    @property
    def _is_picture(self) -> bool:
        return bool(self._known.get(IS_PICTURE))

    @property
    def _at_end(self) -> bool:
        return not math.isnan(self._at_end_s)

    def _watch(self, interrupted: threading.Event) -> None:
        heard_s = self._clock()
        while not interrupted.is_set():
            heard_s = self._heed(min(TICK_S, max(1e-3, self._end_s() - self._clock()))) or heard_s
            if self._problem or self._clock() >= self._end_s():
                return
            is_visible = not math.isnan(self._visible_s)
            if is_visible and self._is_picture:
                continue  # nothing more to be said
            if self._clock() > self._latest_s():  # it may go on talking
                words = "come to an end" if is_visible else "begin to show it"
                raise PlayerGone(f"mpv does not {words}")
            if self._clock() - heard_s > (STALL_S if is_visible else LOAD_S):
                raise PlayerGone("mpv does not answer")
        self._problem = "interrupted"

    def _latest_s(self) -> float:
        """When it must be visible, or over, s; infinity where its length is not known."""
        if math.isnan(self._visible_s):
            return self._loaded_s + LOAD_S
        length_s = min(self._known.get("duration", math.inf), self._duration_s or math.inf)
        return self._visible_s + length_s + LOAD_S

    def _stop(self, in_haste: bool) -> None:
        """Have it taken from the screen, ask how it went, and wait until it is gone."""
        for name in ("frame-drop-count", "mistimed-frame-count"):
            self._ask(name)
        self._asked[self._player.request("stop")] = "stop"
        self._known.pop("idle-active", None)
        if not self._become_idle(HASTE_S if in_haste else STOP_S) and not in_haste:
            raise PlayerGone("mpv does not stop")

    def _become_idle(self, limit_s: float, interrupted: threading.Event | None = None) -> bool:
        """Whether mpv shows nothing within so many seconds; true at once where that matters no more."""
        until_s = self._clock() + limit_s
        self._ask("idle-active")
        while not self._known.get("idle-active"):
            if interrupted is not None and interrupted.is_set():
                return True
            if self._clock() > until_s:
                return False
            self._heed(TICK_S)
        return True

    def _heed(self, timeout_s: float) -> float:
        """Take in what mpv says; when that came, s, or 0 where it is silent."""
        arrival_s, messages = self._player.messages(timeout_s)
        for message in messages:
            if "request_id" in message and "error" in message:
                self._reply(arrival_s, message)
            elif message.get("event") == "property-change" and message.get("id") == IDLE:
                self._known["idle-active"] = float(message.get("data") is True)
            elif message.get("event") == "start-file":
                self._is_loading = True
            elif self._is_loading:  # what comes before is about the item before
                self._event(arrival_s, message)
        is_known = self._is_picture or self._frames.are_enough or self._at_end
        if is_known and not self._is_onset_sought and not math.isnan(self._visible_s):
            self._is_onset_sought = True
            self._know_onset()
            self._ask("avsync")
        return arrival_s if messages else 0.0

    def _reply(self, arrival_s: float, message: Message) -> None:
        name, value = self._asked.get(message["request_id"], ""), message.get("data")
        if name == "stop":
            self._stopped_s = arrival_s
        elif name and isinstance(value, int | float):
            self._known[name] = float(value)

    def _event(self, arrival_s: float, message: Message) -> None:
        event, observed, value = message.get("event"), message.get("id"), message.get("data")
        if event == "property-change" and observed == AT_END:
            self._at_end_s = arrival_s if value is True else self._at_end_s
        elif event == "property-change" and observed == TIME_POS and isinstance(value, int | float):
            if not self._at_end:
                self._frames.add(arrival_s, float(value))
        elif event == "file-loaded":
            for name in ("container-fps", "duration", IS_PICTURE):
                self._ask(name)
        elif event == "playback-restart" and math.isnan(self._visible_s):
            self._visible_s = arrival_s
        elif event == "end-file" and message.get("reason") != "stop":
            why = message.get("file_error") or message.get("reason") or "no reason given"
            self._problem = f"mpv cannot play it: {printable(why, 100)}"

    def _ask(self, name: str) -> None:
        self._asked[self._player.request("get_property", name)] = name

    def _know_onset(self) -> None:
        """Say when it began, if it did."""
        if math.isnan(self._visible_s):
            return
        if self._is_picture:
            self._onset_s = self._visible_s
            if self._duration_s is None and not self._problem:
                self._problem = "a picture has no end of its own, and no duration was given"
        else:
            onset_s = self._frames.onset_s()
            # a damaged clip jumps to its end: that it would have begun before it was loaded is no onset
            self._onset_s = onset_s if onset_s >= self._loaded_s - EARLY_S else math.nan
        if not math.isnan(self._onset_s):
            self._on_onset(self._onset_s)

    def _frame_s(self) -> float:
        rate_hz = self._known.get("container-fps", 0.0)
        return 1 / rate_hz if rate_hz > 0 else math.nan

    def _end_s(self) -> float:
        """When its last frame is over, s; infinity while that is not known."""
        if self._is_picture and not math.isnan(self._onset_s):
            return self._onset_s + (self._duration_s or 0.0)
        if not self._at_end or math.isnan(self._onset_s):
            return self._clock() if self._at_end else math.inf
        frame_s = self._frame_s()
        ran_s = self._frames.positions_s[-1] + (0.0 if math.isnan(frame_s) else frame_s)
        length_s = min(self._known.get("duration", math.inf), self._duration_s or math.inf)
        lasted_s = self._at_end_s - self._visible_s  # a damaged clip jumps to its end
        if length_s < math.inf and lasted_s < length_s - min(SHORT_S, length_s / 2) and not self._problem:
            self._problem = f"ended after {lasted_s:.1f} s of {length_s:.1f} s"
        # the last frames are not always reported, and the sound's padding is none
        is_whole = math.isnan(frame_s) or abs(length_s - ran_s) <= PADDING_S
        return self._onset_s + (length_s if is_whole and length_s < math.inf else ran_s)

    def _stop_s(self, problem: str) -> float:
        if math.isnan(self._onset_s):
            return math.nan
        if not problem and not self._is_picture:
            return self._end_s()
        return self._clock() if math.isnan(self._stopped_s) else self._stopped_s

    def _flags(self, spread_s: float, frame_s: float) -> list[str]:
        flags = []
        most_s = SOUND_SPREAD_S if math.isnan(frame_s) else frame_s / 2
        if spread_s > most_s:
            most = "a sound's should" if math.isnan(frame_s) else "half a frame"
            flags.append(f"uncertain onset: reports spread by {spread_s * 1e3:.0f} ms, more than {most}")
        if self._frames.used < FEW_FRAMES and not self._is_picture and not math.isnan(self._onset_s):
            flags.append(f"uncertain onset: from {self._frames.used} frames only")
        if dropped := self._known.get("frame-drop-count", 0.0):
            flags.append(f"{dropped:.0f} frames dropped")
        return flags
