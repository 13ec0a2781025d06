"""A program that speaks mpv's messages: what it plays is written, as JSON, in the item's file.

``{"length_s": 0.5, "rate_hz": 100}`` plays, with reports that come late; ``"dies_s"`` ends the program in
mid-clip; with ``"never"`` it reports positions, but is never visible (``"begins"``) or never over
(``"ends"``). Run as mpv is: the socket's number comes in an option.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Serve one connection until it is closed or told to quit."""
    [number] = [
        option.rpartition("/")[2] for option in sys.argv if option.startswith("--input-ipc-client=")
    ]
    line = socket.socket(fileno=int(number))
    line.settimeout(0.002)
    due: list[tuple[float, dict[str, Any]]] = []
    known: dict[str, Any] = {"idle-active": True, "frame-drop-count": 0}
    rest = b""
    while True:
        try:
            data = line.recv(65536)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
        except TimeoutError:
            lines = []
        for command in map(json.loads, lines):
            answer(line, command, due, known)
        while due and due[0][0] <= time.monotonic():
            message = due.pop(0)[1]
            if message.get("event") == "die":
                print("Out of memory", flush=True)
                return
            send(line, message)


def answer(line: socket.socket, command: dict[str, Any], due: list[Any], known: dict[str, Any]) -> None:
    """Do as one command says, and reply."""
    name, *arguments = command["command"]
    reply = {"request_id": command.get("request_id", 0), "error": "success"}
    if name == "quit":
        sys.exit()
    if name == "get_property":
        value = known.get(arguments[0])
        reply |= {"error": "property unavailable"} if value is None else {"data": value}
    elif name == "loadfile":
        item = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        known |= {"duration": item["length_s"], "container-fps": item["rate_hz"], "idle-active": False}
        due[:] = sorted(playing(item, time.monotonic()), key=lambda entry: entry[0])
    elif name == "stop":
        due.clear()
        known["idle-active"] = True
    send(line, reply)


def playing(item: dict[str, Any], now_s: float) -> list[tuple[float, dict[str, Any]]]:
    """What will be said, and when."""
    chance, zero_s = random.Random(3), now_s + 0.05
    said = [(now_s, {"event": "start-file"}), (now_s, {"event": "file-loaded"})]
    said += [(now_s + 0.01, position(0.0)), (zero_s + 0.02, {"event": "playback-restart"})]
    for number in range(1, round(item["length_s"] * item["rate_hz"]) - 2):
        at_s = number / item["rate_hz"]
        said.append((zero_s + at_s + abs(chance.gauss(0.0, 0.002)), position(at_s)))
    if item.get("never"):
        said = [
            entry for entry in said if item["never"] == "ends" or entry[1]["event"] != "playback-restart"
        ]
        return said + [(zero_s + number / 20, position(number / 20)) for number in range(200)]
    at_end = {"event": "property-change", "id": 2, "name": "eof-reached", "data": True}
    said.append((zero_s + item["length_s"] - 0.01, at_end))
    if "dies_s" in item:
        said.append((zero_s + item["dies_s"], {"event": "die"}))
    return said


def position(at_s: float) -> dict[str, Any]:
    """A report of a frame."""
    return {"event": "property-change", "id": 1, "name": "time-pos", "data": at_s}


def send(line: socket.socket, message: dict[str, Any]) -> None:
    """One message."""
    line.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
