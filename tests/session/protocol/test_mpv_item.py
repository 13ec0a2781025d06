"""One item in a player that speaks mpv's messages in simulated time."""

from __future__ import annotations

import math
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from bci_m2s.session.protocol.mpv_item import AT_END, TIME_POS, MpvItem
from bci_m2s.session.protocol.mpv_process import PlayerGone
from bci_m2s.session.protocol.stimulus import Shown

CLIP = Path("/clips/happy.mp4")


class Player:
    """mpv as it was measured: the first frame long before the sound, reports that jitter, an early end."""

    def __init__(self, rate_hz: float = 25.0, length_s: float = 3.0, jitter_s: float = 0.004) -> None:
        self.now_s, self.zero_s = 50.0, 50.5
        self.properties: dict[str, Any] = {"container-fps": rate_hz, "duration": length_s, "avsync": 0.001}
        self.properties |= {"frame-drop-count": 0, "current-tracks/video/image": False, "idle-active": True}
        self.rate_hz, self.length_s, self.jitter_s = rate_hz, length_s, jitter_s
        self.due: list[tuple[float, dict[str, Any]]] = []
        self.commands: list[tuple[Any, ...]] = []
        self.gone_s = math.inf
        self.stopped_s = math.nan

    def clock(self) -> float:
        return self.now_s

    def request(self, *command: Any) -> int:
        self.commands.append(command)
        number = len(self.commands)
        reply: dict[str, Any] = {"request_id": number, "error": "success"}
        if command[0] == "get_property":
            value = self.properties.get(command[1])
            reply |= {"error": "property unavailable"} if value is None else {"data": value}
        elif command[0] == "loadfile":
            self.properties["idle-active"] = False
            self.due += [(self.now_s + at, message) for at, message in self.playing()]
        elif command[0] == "stop":
            self.due = [(at_s, message) for at_s, message in self.due if "request_id" in message]
            self.stopped_s = self.now_s
            self.properties["idle-active"] = True
        self.due.append((self.now_s, reply))
        self.due.sort(key=lambda item: item[0])
        return number

    def playing(self) -> list[tuple[float, dict[str, Any]]]:
        """Seconds after loading, message."""
        chance = random.Random(2)
        zero_s = self.zero_s - self.now_s
        reports = [(0.01, {"event": "start-file"}), (0.02, {"event": "file-loaded"}), (0.1, position(0.0))]
        reports.append((zero_s + 0.045, {"event": "playback-restart"}))
        for number in range(1, round(self.length_s * self.rate_hz) - 1):  # the last one is not reported
            at_s = number / self.rate_hz
            late_s = 0.05 if at_s < 0.05 else chance.gauss(0.0, self.jitter_s)
            reports.append((zero_s + at_s + late_s, position(at_s)))
        end_s = zero_s + self.length_s - 0.06
        reports.append((end_s, {"event": "property-change", "id": AT_END, "data": True}))
        return [*reports, (end_s, position(self.length_s + 0.018))]

    def messages(self, timeout_s: float) -> tuple[float, list[dict[str, Any]]]:
        until_s = self.now_s + timeout_s
        if min(until_s, self.due[0][0] if self.due else until_s) >= self.gone_s:
            raise PlayerGone("mpv has ended")
        if not self.due or self.due[0][0] > until_s:
            self.now_s = until_s
            return until_s, []
        at_s, message = self.due.pop(0)
        self.now_s = max(self.now_s, at_s)
        return self.now_s, [message]


def position(at_s: float) -> dict[str, Any]:
    return {"event": "property-change", "id": TIME_POS, "name": "time-pos", "data": at_s}


class Said:
    """What `on_onset` was given, and when."""

    def __init__(self, player: Player) -> None:
        self.player, self.calls = player, []

    def __call__(self, onset_s: float) -> None:
        self.calls.append((onset_s, self.player.now_s))


def show(
    player: Player, duration_s: float | None = None, interrupt_s: float = math.inf
) -> tuple[Shown, Said]:
    said = Said(player)

    class Interrupted(threading.Event):
        def is_set(self) -> bool:
            return player.now_s >= interrupt_s

    item = MpvItem(player, player.clock, duration_s, said)  # type: ignore[arg-type]
    try:
        item.show(CLIP, Interrupted())
    except PlayerGone as problem:
        return item.result(str(problem)), said
    return item.result(), said


@pytest.mark.parametrize("rate_hz", [25.0, 60.0])
def test_onset_and_end_are_within_a_frame(rate_hz: float):
    player = Player(rate_hz)
    shown, said = show(player)
    assert shown.completed
    assert shown.flags == ()
    assert shown.onset_s == pytest.approx(player.zero_s, abs=0.002)
    assert shown.stop_s - shown.onset_s == pytest.approx(3.0, abs=1e-6)
    assert 0.002 < shown.spread_s < 0.006
    assert shown.frame_s == pytest.approx(1 / rate_hz)
    [(onset_s, told_s)] = said.calls
    assert onset_s == shown.onset_s
    assert told_s - onset_s < 51 / rate_hz + 0.1
    assert player.stopped_s == pytest.approx(
        shown.stop_s, abs=0.01
    )  # not before: the last frame stays its time
    assert shown.figures == {"dropped_frames": 0.0, "avsync_s": 0.001}


def test_a_spread_of_more_than_half_a_frame_is_flagged():
    shown, _ = show(Player(60.0, jitter_s=0.0125))
    assert shown.completed
    assert shown.flags[0].startswith("uncertain onset: reports spread by 1")


def test_dropped_frames_are_flagged():
    player = Player()
    player.properties["frame-drop-count"] = 7
    assert show(player)[0].flags == ("7 frames dropped",)


def test_mpv_is_asked_to_end_where_the_protocol_says():
    player = Player(length_s=1.5)  # what is left of a longer clip
    player.properties["duration"] = 200.0
    shown, _ = show(player, 1.5)
    assert ("set_property", "length", "1.500000") in player.commands
    assert ("loadfile", str(CLIP), "replace") in player.commands
    assert shown.completed
    assert shown.stop_s - shown.onset_s == pytest.approx(1.5, abs=1e-6)


def test_an_interruption_is_heeded_at_once_and_its_onset_told():
    player = Player()
    shown, said = show(player, interrupt_s=player.zero_s + 1.0)
    assert not shown.completed
    assert shown.flags[0] == "interrupted"
    assert shown.stop_s - player.zero_s < 1.1
    assert [call[0] for call in said.calls] == [shown.onset_s]
    assert shown.onset_s == pytest.approx(player.zero_s, abs=0.004)


def test_an_interruption_before_anything_is_seen():
    player = Player()
    shown, said = show(player, interrupt_s=player.now_s + 0.2)
    assert (shown.completed, shown.flags, said.calls) == (False, ("interrupted",), [])
    assert math.isnan(shown.onset_s)
    assert math.isnan(shown.stop_s)


def test_mpv_that_ends_in_mid_clip():
    player = Player()
    player.gone_s = player.zero_s + 2.5
    shown, said = show(player)
    assert not shown.completed
    assert shown.flags == ("mpv has ended",)
    assert shown.onset_s == pytest.approx(player.zero_s, abs=0.002)
    assert len(said.calls) == 1


def test_mpv_that_ends_after_the_clip_has_shown_it():
    player = Player()
    player.gone_s = player.zero_s + 3.0
    shown, _ = show(player)
    assert shown.completed
    assert shown.stop_s - shown.onset_s == pytest.approx(3.0, abs=1e-6)


def test_mpv_that_hangs_is_given_up():
    player = Player()
    player.playing = lambda: [(0.01, {"event": "start-file"})]  # type: ignore[method-assign]
    begun_s = player.now_s
    shown, _ = show(player)
    assert shown.flags == ("mpv does not begin to show it",)
    assert player.now_s - begun_s < 31


def test_a_damaged_clip_that_jumps_to_its_end_is_not_completed():
    player = Player()
    reports = [
        {"event": "start-file"},
        {"event": "file-loaded"},
        {"event": "playback-restart"},
        position(2.0),
    ]
    reports.append({"event": "property-change", "id": AT_END, "data": True})
    player.playing = lambda: [(0.1, report) for report in reports]  # type: ignore[method-assign]
    shown, said = show(player)
    assert (shown.completed, shown.flags, said.calls) == (False, ("nothing was shown",), [])


def test_a_clip_that_ends_long_before_its_time_is_not_completed():
    player = Player(length_s=1.2)
    player.properties["duration"] = 3.0
    shown, said = show(player)
    assert not shown.completed
    assert shown.flags[0] == "ended after 1.1 s of 3.0 s"
    assert len(said.calls) == 1


def test_what_mpv_cannot_play_is_named():
    player = Player()
    error = {"event": "end-file", "reason": "error", "file_error": "unrecognized file\x1b format"}
    player.playing = lambda: [(0.01, {"event": "start-file"}), (0.02, error)]  # type: ignore[method-assign]
    shown, said = show(player)
    assert (shown.completed, shown.flags) == (False, ("mpv cannot play it: unrecognized file? format",))
    assert said.calls == []


def picture() -> Player:
    player = Player()
    player.properties |= {"current-tracks/video/image": True, "container-fps": 1.0, "duration": 0.0}
    reports = [(0.01, {"event": "start-file"}), (0.02, {"event": "file-loaded"}), (0.03, position(0.0))]
    player.playing = lambda: [*reports, (0.3, {"event": "playback-restart"})]  # type: ignore[method-assign]
    return player


def test_a_picture_begins_when_it_is_visible_and_lasts_its_duration():
    player = picture()
    shown, said = show(player, 40.0)  # longer than a clip may be silent
    assert shown.completed
    assert shown.flags == ()
    assert shown.onset_s == pytest.approx(50.3)
    assert shown.stop_s == pytest.approx(90.3, abs=0.01)
    assert math.isnan(shown.spread_s)
    assert said.calls == [(shown.onset_s, pytest.approx(50.3))]


def test_a_picture_without_a_duration_is_not_completed():
    shown, _ = show(picture())
    assert not shown.completed
    assert "no duration" in shown.flags[0]


def test_a_sound_lasts_as_long_as_it_says():
    player = Player()
    player.properties |= {"container-fps": None, "current-tracks/video/image": None}
    shown, _ = show(player)
    assert shown.completed
    assert math.isnan(shown.frame_s)
    assert shown.stop_s - shown.onset_s == pytest.approx(3.0, abs=1e-6)


def test_the_rest_of_the_item_before_is_no_part_of_this_one():
    player = Player()
    player.due = [(player.now_s, position(17.0)), (player.now_s, {"event": "end-file", "reason": "quit"})]
    shown, _ = show(player)
    assert shown.completed
    assert shown.onset_s == pytest.approx(player.zero_s, abs=0.002)
