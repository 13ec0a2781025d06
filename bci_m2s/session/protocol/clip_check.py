"""Whether clips can be shown: looked at with ffprobe before anybody sits down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from bci_m2s.text import printable

PROBE_S = 120.0  # for one file, which is read to its end but not decoded
SHORT_S = 1.0  # so much of what a file announces may be missing
PACKETS = 100  # of the beginning, which must hold something that can be decoded


class _Unfit(Exception):
    """Why a file cannot be shown."""


def missing_programs(player: str) -> list[str]:
    """Programs that clips need and that are not installed: a line each, with the package to install."""
    packages = {player: "mpv", "ffprobe": "ffmpeg"}
    return [
        f"{program} is not installed, clips need it: sudo apt install {package} (Debian, Ubuntu), "
        f"brew install {package} (macOS)"
        for program, package in packages.items()
        if shutil.which(program) is None
    ]


def problem_of(path: Path, duration_s: float | None) -> str:
    """Why a clip, sound or picture cannot be shown for so long, in one line; "" where it can.

    duration_s : None: to its own end
    """
    try:
        _check_file(path)
        about = _probe(path, "-count_packets", "-show_entries", "format=duration:stream")
        streams = [stream for stream in about.get("streams", []) if not _is_cover(stream)]
        _check_lengths(streams, float(about.get("format", {}).get("duration", "nan")), duration_s)
        begin = ("-read_intervals", f"%+#{PACKETS}", "-show_entries", "frame=media_type")
        decoded = {frame.get("media_type") for frame in _probe(path, *begin).get("frames", [])}
        if missing := {stream["codec_type"] for stream in streams} & {"video", "audio"} - decoded:
            raise _Unfit(f"its {' and '.join(sorted(missing))} cannot be decoded")
    except _Unfit as problem:
        return f"{path}: {problem}"
    return ""


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise _Unfit(f"{'a folder' if path.is_dir() else 'not there'}; expected a clip, sound or picture")
    if not os.access(path, os.R_OK):
        raise _Unfit("must not be read by you")


def _check_lengths(streams: list[dict[str, Any]], length_s: float, duration_s: float | None) -> None:
    """Refuse what is no clip, has no end, is cut off, or is shorter than what is asked for."""
    packets = {stream["codec_type"]: int(stream.get("nb_read_packets", 0)) for stream in streams}
    if not packets.get("video") and not packets.get("audio"):
        raise _Unfit("holds neither pictures nor sound")
    if packets.get("video") == 1 and not packets.get("audio"):
        if duration_s is None:
            raise _Unfit("is a picture, which has no end of its own; expected a duration")
        return
    rates = [_rate_hz(stream) for stream in streams if stream["codec_type"] == "video"]
    there_s = packets["video"] / rates[0] if rates and rates[0] else length_s
    if there_s < length_s - max(SHORT_S, 0.05 * length_s):
        raise _Unfit(f"is cut off: {there_s:.1f} s of {length_s:.1f} s are there")
    if duration_s is not None and length_s < duration_s - SHORT_S:
        raise _Unfit(f"lasts {length_s:.1f} s; expected {duration_s:g} s, as the protocol says")


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _rate_hz(stream: dict[str, Any]) -> float:
    over, _, under = str(stream.get("avg_frame_rate", "0/0")).partition("/")
    return float(over) / float(under) if float(under or 0) else 0.0


def _probe(path: Path, *arguments: str) -> dict[str, Any]:
    """What ffprobe tells of a file. Raises _Unfit."""
    # "file:" before the name: it is never taken for an option, an address or a playlist's kind
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, "-i", f"file:{path.absolute()}"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_S, check=False
        )
        about = json.loads(done.stdout or b"{}")
    except subprocess.TimeoutExpired:
        raise _Unfit(f"ffprobe has not read it within {PROBE_S:g} s") from None
    except (OSError, ValueError) as problem:
        raise _Unfit(f"ffprobe cannot look at it: {printable(problem, 200)}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["ffprobe gives no reason"]
        raise _Unfit(f"cannot be played: {printable(said[-1].rpartition(': ')[2], 200)}")
    return about if isinstance(about, dict) else {}
