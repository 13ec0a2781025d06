"""The player as a process: a program that speaks mpv's messages, and mpv itself where it is installed."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import fake_mpv

from bci_m2s.errors import ConfigurationError
from bci_m2s.session.protocol import mpv_item
from bci_m2s.session.protocol.mpv import Mpv

FAKE = (sys.executable, "-S", "-E", str(fake_mpv.__file__))
on_posix = pytest.mark.skipif(
    os.name != "posix", reason="the program that plays mpv takes a socket's number"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def player(folder: Path) -> Iterator[Mpv]:
    player = Mpv(time.monotonic, folder, program=FAKE)
    yield player
    player.close()


def clip(folder: Path, name: str, **values: Any) -> str:
    (folder / name).write_text(json.dumps({"length_s": 0.3, "rate_hz": 100.0} | values), encoding="utf-8")
    return name


def is_shown(player: Mpv, item: str) -> bool:
    """Whether an item is visible; how long, a machine that stands still for a moment cannot tell."""
    return not math.isnan(player.present(item, None, threading.Event(), lambda _: None).onset_s)


@on_posix
def test_a_clip_through_the_socket(player: Mpv, folder: Path):
    onsets: list[float] = []
    begun_s = time.monotonic()
    shown = player.present(clip(folder, "--shuffle 'a\".json"), None, threading.Event(), onsets.append)
    assert shown.completed
    assert begun_s < shown.onset_s < shown.stop_s < time.monotonic()
    assert onsets == [shown.onset_s]
    assert shown.stop_s - shown.onset_s == pytest.approx(0.3, abs=1e-6)
    assert shown.frame_s == pytest.approx(0.01)
    assert not math.isnan(shown.spread_s)


@on_posix
def test_a_player_that_dies_in_mid_clip_is_replaced(player: Mpv, folder: Path):
    shown = player.present(clip(folder, "dies.json", dies_s=0.15), None, threading.Event(), lambda _: None)
    assert not shown.completed
    assert shown.flags[0] == "mpv has ended: Out of memory"
    assert shown.onset_s < shown.stop_s
    assert is_shown(player, clip(folder, "well.json"))


@on_posix
@pytest.mark.parametrize(
    ("never", "words"),
    [("begins", "mpv does not begin to show it"), ("ends", "mpv does not come to an end")],
)
def test_a_player_that_talks_on_is_given_up(player: Mpv, folder: Path, monkeypatch, never: str, words: str):
    # it has started, and is idle: what follows is not about how long that takes
    player.present(clip(folder, "well.json"), None, threading.Event(), lambda _: None)
    monkeypatch.setattr(mpv_item, "LOAD_S", 3.0)
    item = clip(folder, f"{never}.json", never=never)
    shown = player.present(item, None, threading.Event(), lambda _: None)
    assert (shown.completed, shown.flags[0]) == (False, words)


@on_posix
def test_an_interruption_ends_a_clip_and_the_next_one_is_shown(player: Mpv, folder: Path):
    interrupted = threading.Event()
    threading.Timer(0.1, interrupted.set).start()
    shown = player.present(clip(folder, "long.json", length_s=60.0), None, interrupted, lambda _: None)
    assert (shown.completed, shown.flags[0]) == (False, "interrupted")
    assert is_shown(player, clip(folder, "next.json"))


def test_a_player_that_is_not_there_is_told_in_words(folder: Path, monkeypatch: pytest.MonkeyPatch):
    player = Mpv(time.monotonic, folder, program=("mpv-that-is-not-there",))
    shown = player.present("clip.mp4", None, threading.Event(), pytest.fail)
    assert not shown.completed
    assert shown.flags == ("mpv-that-is-not-there cannot be started: No such file or directory",)
    monkeypatch.setenv("PATH", "")
    [mpv, ffprobe] = player.check([("clip.mp4", None)])
    assert "apt install mpv" in mpv
    assert "brew install ffmpeg" in ffprobe


@pytest.mark.parametrize(
    "option", ["mute", "-mute", "--", "--a b", "--vo=x\0", "--script=a.lua", "--no-config"]
)
def test_options_that_are_none_or_not_the_users_are_refused(option: str, folder: Path):
    with pytest.raises(ConfigurationError, match="options: got"):
        Mpv(time.monotonic, folder, options=[option])


def test_options_of_the_screen_and_the_users_own(folder: Path):
    player = Mpv(time.monotonic, folder, 1, False, volume=35.5, options=["--vo=x11", "--mute"])
    options = player._options
    assert {"--fs-screen=1", "--fullscreen=no", "--volume=35.5", "--force-window=no"} <= set(options)
    assert options[-2:] == ["--vo=x11", "--mute"]


needs_mpv = pytest.mark.skipif(
    not all(map(shutil.which, ("mpv", "ffmpeg", "ffprobe"))), reason="mpv and ffmpeg are not installed"
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 1.5 s with sound, its first half, a picture, and a text that says it is a clip."""
    folder = tmp_path_factory.mktemp("real")
    picture, sound = "testsrc=s=160x120:r=25:d=1.5", "sine=440:d=1.5"
    coded = ["-c:v", "mpeg4", "-c:a", "aac", "-f", "matroska", str(folder / "clip.mkv")]
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture]
    subprocess.run([*make, "-f", "lavfi", "-i", sound, *coded], check=True)
    subprocess.run([*make, "-frames:v", "1", str(folder / "picture.png")], check=True)
    whole = (folder / "clip.mkv").read_bytes()
    (folder / "half.mkv").write_bytes(whole[: len(whole) // 4])
    (folder / "text.mp4").write_text("no clip")
    return folder


@needs_mpv
@pytest.mark.live
def test_real_files_are_checked(clips: Path):
    player = Mpv(time.monotonic, clips)
    items = [("clip.mkv", None), ("clip.mkv", 1.0), ("picture.png", 2.0)]
    assert player.check(items) == []
    wrong = [
        ("clip.mkv", 9.0),
        ("half.mkv", None),
        ("picture.png", None),
        ("text.mp4", None),
        ("none.mp4", 1.0),
    ]
    said = [problem.removeprefix(str(clips) + os.sep) for problem in player.check([*wrong, (".", None)])]
    assert said[0] == "clip.mkv: lasts 1.5 s; expected 9 s, as the protocol says"
    assert said[1].startswith("half.mkv: is cut off: 0.")
    assert said[2].startswith("picture.png: is a picture")
    assert said[3].startswith("text.mp4: cannot be played: ")
    assert said[4].startswith("none.mp4: not there")
    assert "a folder" in said[5]


@needs_mpv
@pytest.mark.live
def test_mpv_itself(clips: Path):
    player = Mpv(time.monotonic, clips, options=["--vo=null", "--ao=null"])
    try:
        shown = player.present("clip.mkv", None, threading.Event(), lambda _: None)
        assert shown.completed, shown.flags
        assert shown.stop_s - shown.onset_s == pytest.approx(1.5, abs=0.05)
        assert shown.frame_s == pytest.approx(0.04)
        assert shown.figures["dropped_frames"] >= 0
        shown = player.present("text.mp4", None, threading.Event(), pytest.fail)
        assert (shown.completed, shown.flags) == (False, ("mpv cannot play it: unrecognized file format",))
        interrupted = threading.Event()
        shown = player.present("clip.mkv", 1.0, interrupted, lambda _: interrupted.set())
        assert shown.onset_s < shown.stop_s
    finally:
        player.close()
